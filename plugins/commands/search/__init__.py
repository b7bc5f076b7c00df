"""`prunekit search`."""
