"""`prunekit curve`."""
