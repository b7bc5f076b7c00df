"""`prunekit draft`."""
