"""`prunekit latency`."""
