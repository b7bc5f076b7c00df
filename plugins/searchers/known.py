"""The losses that a search knows: `losses = yield from known.ask(subsets)`."""

from __future__ import annotations

from collections.abc import Sequence

from prunekit.core import Asking, Best, Part, Search, Subset

__all__ = ["Known"]


class Known(dict[Subset, float]):
    """Losses on the whole calibration set, by subset."""

    def ask(self, subsets: Sequence[Subset]) -> Asking[list[float]]:
        """Return the losses of subsets; request those that are new, each once."""
        new = [subset for subset in dict.fromkeys(subsets) if subset not in self]
        if new:
            self.update(zip(new, (yield new), strict=True))
        return [self[subset] for subset in subsets]

    def follow(self, search: Search) -> Search:
        """Run another search to its end, and keep the losses that it receives.

        As they are kept, they are requested of all subsets, also where a few winners would do.
        """
        losses = None
        while True:
            try:
                request = next(search) if losses is None else search.send(losses)
            except StopIteration as stop:
                chosen: Subset = stop.value
                return chosen
            losses = yield list(request) if isinstance(request, Best) else request
            if not isinstance(request, Part):
                self.update(zip(request, losses, strict=True))

    def best(self, size: int) -> Subset:
        """Return the subset of that size with the lowest loss; of equals the first."""
        subsets = (subset for subset in self if len(subset) == size)
        return min(subsets, key=lambda subset: (self[subset], sorted(subset)))
