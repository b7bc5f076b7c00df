"""Report the progress of work."""

from __future__ import annotations

from collections.abc import Callable


class Progress:
    """Receives the progress of work; this class shows nothing."""

    def begin(
        self, what: str, unit: str = "", expect: Callable[[], float | None] = lambda: None
    ) -> None:
        """Start a part of the work, counted in `unit`.

        `expect` estimates the total within a few seconds; None is unknown.
        """

    def rename(self, what: str) -> None:
        """Name the current step; the count goes on."""

    def advance(self, done: float, note: str = "") -> None:
        """Set how much of the part is done, and a short note such as the best loss."""
