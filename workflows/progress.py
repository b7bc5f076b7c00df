"""Who is told how long work goes."""

from __future__ import annotations

from typing import Protocol

from prunekit.core.rehearsal import Cost


class Progress(Protocol):
    """Watches a search."""

    def stage(self, what: str) -> None:
        """A new part of the work begins."""
        ...

    def expect(self, cost: Cost) -> None:
        """What the search will ask for, as far as a rehearsal can tell."""
        ...

    def advance(self, subsets: int, best: float | None) -> None:
        """So many of the subsets are done; `best` is the lowest loss of the wanted size."""
        ...


class Silent:
    """Says nothing."""

    def stage(self, what: str) -> None:
        """Nothing."""

    def expect(self, cost: Cost) -> None:
        """Nothing."""

    def advance(self, subsets: int, best: float | None) -> None:
        """Nothing."""
