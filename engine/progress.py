"""Report the progress of work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias


@dataclass(frozen=True)
class Step:
    """How far a part of the work is."""

    what: str
    done: float = 0
    total: float | None = None
    """None if it is not known"""
    unit: str = ""
    note: str = ""
    """such as the best loss so far"""

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total:,.0f}"
        count = f"{self.done:,.0f}{of} {self.unit}".strip() if self.done or self.total else ""
        return ", ".join(filter(None, (f"{self.what}: {count}" if count else self.what, self.note)))


Show: TypeAlias = Callable[[Step], None]


class Progress:
    """Passes on how far the work is, part by part. Without a `show`, nothing is estimated."""

    def __init__(self, show: Show | None = None) -> None:
        self._show = show
        self._step = Step("starting")

    def begin(
        self, what: str, unit: str = "", expect: Callable[[], float | None] = lambda: None
    ) -> None:
        """Start a part of the work, counted in `unit`.

        `expect` estimates the total within a few seconds; None is unknown.
        """
        self._set(Step(what, unit=unit))
        if self._show:
            self._set(replace(self._step, total=expect()))

    def rename(self, what: str) -> None:
        """Name the current part; the count goes on."""
        self._set(replace(self._step, what=what))

    def advance(self, done: float, note: str = "") -> None:
        """Set how much of the part is done. Beyond its end the total was wrong: it is unknown."""
        total = self._step.total
        known = total if total is None or done <= total else None
        self._set(replace(self._step, done=done, total=known, note=note))

    def count(self, what: str, done: float, total: float | None, unit: str, note: str = "") -> None:
        """Start a part, or set how much of it is done, where the total is known throughout."""
        self._set(Step(what, done, total, unit, note))

    def _set(self, step: Step) -> None:
        self._step = step
        if self._show:
            self._show(step)
