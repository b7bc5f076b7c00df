"""Trackers: tools that keep experiments, and show them to others."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar


class Tracker(abc.ABC):
    """Writes what was found to an experiment tracker, one run of it after the other.

    `begin` comes first, then any of the others, and `end` last, also after an error.
    """

    name: ClassVar[str]
    paper: ClassVar[str | None] = None

    @abc.abstractmethod
    def begin(self, project: str, run: str, settings: Mapping[str, Any]) -> None:
        """Begin a run; `settings` are numbers, text and None by names with dots."""

    @abc.abstractmethod
    def log(self, values: Mapping[str, float], step: int) -> None:
        """Add a point to the curves of these names; steps ascend, values are finite."""

    @abc.abstractmethod
    def summarise(self, values: Mapping[str, float | str]) -> None:
        """Note what came of the run; numbers are finite."""

    @abc.abstractmethod
    def keep(self, files: Sequence[Path]) -> None:
        """Keep a copy of these files."""

    @abc.abstractmethod
    def end(self) -> str:
        """End the run; return where it can be seen, in a few words, or an empty text."""
