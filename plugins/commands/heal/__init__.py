"""`prunekit heal`."""
