"""`prunekit report`."""
