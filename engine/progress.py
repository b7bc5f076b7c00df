"""Who is told how long work goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from prunekit.engine.rehearsal import Cost


class Progress(Protocol):
    """Watches a search."""

    def stage(self, what: str) -> None:
        """A new part of the work begins."""
        ...

    def expect(self, rehearse: Callable[[], Cost]) -> None:
        """The search begins; `rehearse` tells, in a few seconds, what it will ask for."""
        ...

    def advance(self, subsets: float, best: float | None) -> None:
        """So many of the subsets are done; `best` is the lowest loss of the wanted size."""
        ...


class Silent:
    """Says nothing."""

    def stage(self, what: str) -> None:
        """Nothing."""

    def expect(self, rehearse: Callable[[], Cost]) -> None:
        """Nothing."""

    def advance(self, subsets: float, best: float | None) -> None:
        """Nothing."""
