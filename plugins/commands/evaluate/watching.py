"""Who is told how far an evaluation is."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Watches an evaluation."""

    def stage(self, what: str) -> None:
        """A new part of the work begins."""
        ...

    def count(self, done: int, total: int, unit: str) -> None:
        """So much of this part is done."""
        ...


class Nobody:
    """Watches nothing."""

    def stage(self, what: str) -> None:
        """Nothing."""

    def count(self, done: int, total: int, unit: str) -> None:
        """Nothing."""
