"""Calibration objectives, one a file."""
