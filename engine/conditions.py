"""The name of an objective under a calibration, as file names and the report show it."""

from __future__ import annotations


def condition(objective: str, calibration: str) -> str:
    """Join two labels, of which that of the calibration may be empty.

    >>> condition("ppl", "small"), condition("ppl", "")
    ('ppl small', 'ppl')
    """
    return f"{objective} {calibration}" if calibration else objective
