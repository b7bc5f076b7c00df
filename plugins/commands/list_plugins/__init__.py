"""`prunekit list-plugins`."""
