"""`prunekit export`."""
