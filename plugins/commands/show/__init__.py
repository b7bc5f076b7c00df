"""`prunekit show`."""
