"""Backends: where measurements run."""
