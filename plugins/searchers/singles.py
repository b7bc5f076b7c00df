"""How several algorithms begin: `losses = yield from single_losses(problem)`."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

from prunekit.core import Problem, Subset

__all__ = ["cheapest_first", "single_losses"]


def single_losses(
    problem: Problem,
) -> Generator[Sequence[Subset], list[float], dict[int, float]]:
    """The loss of removing each block alone."""
    losses = yield [frozenset({i}) for i in problem.removable]
    return dict(zip(problem.removable, losses, strict=True))


def cheapest_first(singles: Mapping[int, float]) -> list[int]:
    """Blocks by the loss of removing each alone; of equals the lowest index first.

    >>> cheapest_first({0: 5.0, 1: 2.0, 2: 2.0})
    [1, 2, 0]
    """
    return sorted(singles, key=lambda block: (singles[block], block))
