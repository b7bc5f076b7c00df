"""`prunekit certify`: does the pruned model still write, beside the dense one?"""
