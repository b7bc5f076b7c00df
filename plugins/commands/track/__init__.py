"""`prunekit track`."""
