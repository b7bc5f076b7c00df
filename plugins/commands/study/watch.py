"""Who is told how long a study goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Watch(Protocol):
    """Watches a study."""

    def begin(self, what: str, unit: str, expect: Callable[[], float | None]) -> None:
        """A part of the study begins; `expect` tells, in some seconds, how many units it has."""
        ...

    def now(self, title: str) -> None:
        """A task of it begins."""
        ...

    def advance(self, done: float) -> None:
        """So many units of the part are done."""
        ...


class Silent:
    """Says nothing."""

    def begin(self, what: str, unit: str, expect: Callable[[], float | None]) -> None:
        """Nothing."""

    def now(self, title: str) -> None:
        """Nothing."""

    def advance(self, done: float) -> None:
        """Nothing."""
