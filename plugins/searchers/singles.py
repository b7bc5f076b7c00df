"""Single removals, with which several algorithms start: `yield from single_losses(problem)`."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

from prunekit.core import Best, Problem, Subset

__all__ = ["cheapest_first", "single_losses"]


def single_losses(
    problem: Problem, winners: int | None = None
) -> Generator[Sequence[Subset], list[float], dict[int, float]]:
    """Request the loss of removing each block alone, and return it by block.

    If only the `winners` cheapest matter, the losses of others may be +inf, as in a `Best`.
    """
    singles = [frozenset({i}) for i in problem.removable]
    losses = yield Best(singles, winners) if winners else singles
    return dict(zip(problem.removable, losses, strict=True))


def cheapest_first(singles: Mapping[int, float]) -> list[int]:
    """Sort blocks by the loss of removing each alone; ties by index.

    >>> cheapest_first({0: 5.0, 1: 2.0, 2: 2.0})
    [1, 2, 0]
    """
    return sorted(singles, key=lambda block: (singles[block], block))
