"""Tools that keep experiments."""
