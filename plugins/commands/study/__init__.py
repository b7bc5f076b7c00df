"""`prunekit study`."""
