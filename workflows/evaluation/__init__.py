"""Evaluate pruned variants beside the dense model, on data that no search saw."""
