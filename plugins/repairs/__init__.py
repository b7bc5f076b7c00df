"""What makes up for removed blocks."""
