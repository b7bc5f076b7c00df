"""What prunekit does, step by step: the commands call these, and so can a notebook."""
