"""Losses and their differences, as results give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """A loss, also in other units."""

    loss: float
    readings: Mapping[str, float]


@dataclass(frozen=True)
class Difference:
    """A difference of losses on the same samples; None if it is unknown."""

    value: float | None
    standard_error: float | None
