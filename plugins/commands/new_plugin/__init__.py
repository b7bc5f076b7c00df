"""`prunekit new-plugin`."""
