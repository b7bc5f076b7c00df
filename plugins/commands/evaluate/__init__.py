"""`prunekit evaluate`."""
