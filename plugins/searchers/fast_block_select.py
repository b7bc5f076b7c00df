"""Fast-block-select: exchange contiguous groups of blocks, ranked by importance.

The algorithm is that of MI-PRUN (Zhang et al., arXiv 2601.07212), as far as it is known: start from
the least important blocks, rank groups of equal length by the sum of single importances, measure
the best few, exchange those that gain and do not overlap, until nothing changes. The number of
groups measured, ties and cycle detection are our reading, as is the estimator of mutual
information; arXiv 2604.24938 drives every algorithm with its calibration loss.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from prunekit.core import Best, Problem, Search, Searcher, Signal, Subset, hookimpl, option
from prunekit.plugins.searchers.finite import FiniteLosses
from prunekit.plugins.searchers.signals import BLOCK_SIMILARITY
from prunekit.plugins.searchers.singles import cheapest_first

Group: TypeAlias = tuple[int, ...]
"""Contiguous blocks."""
Importances: TypeAlias = dict[Group, float]
Measure: TypeAlias = Callable[
    [Sequence[Group]], Generator[Sequence[Subset], list[float], Importances]
]


@dataclass(frozen=True)
class Swap:
    """An exchange that restores one group and removes another."""

    restored: Group
    removed: Group
    gain: float

    def touches(self, blocks: Collection[int]) -> bool:
        """Return True if it restores or removes any of these blocks."""
        return not set(blocks).isdisjoint(self.restored + self.removed)


@dataclass(frozen=True)
class FastBlockSelect(Searcher):
    """Start from the cheapest blocks, then exchange contiguous groups of equal length.

    With `oracle = loss` the importance of a group is the loss without it; a one-shot choice without
    adjacent blocks is then final. With `oracle = mi` it is minus the mutual information between the
    input and the output of the group, and no subset is measured.
    """

    name: ClassVar[str] = "fast-block-select"
    paper: ClassVar[str] = "arXiv 2601.07212"
    oracle: Literal["loss", "mi"] = option("loss", "importance: the loss, or mutual information")
    groups: int = option(5, "groups of each length to measure on either side", low=1)
    sub_windows: bool = option(False, "also exchange parts of contiguous groups")
    guard: bool = option(False, "keep an exchange only if the loss of the whole set falls")
    rounds: int = option(20, "maximum number of exchanges", low=1)

    @property
    def needs(self) -> tuple[Signal, ...]:
        """Return mutual information between blocks, if that is the oracle."""
        return (BLOCK_SIMILARITY,) if self.oracle == "mi" else ()

    def search(self, problem: Problem) -> Search:
        """Exchange until nothing gains or a subset repeats."""
        measure = self._measure(problem)
        known = yield from measure([(i,) for i in problem.removable])
        order = cheapest_first({block: known[(block,)] for block in problem.removable})
        chosen = frozenset(order[: problem.budget])
        seen = {chosen}
        for _ in range(self.rounds):
            swaps = yield from self._swaps(problem, chosen, known, measure)
            following = _exchange(chosen, swaps)
            if following in seen or not (yield from self._accepts(following, chosen)):
                break
            seen.add(following)
            chosen = following
        return chosen

    def _swaps(
        self, problem: Problem, chosen: Subset, known: Importances, measure: Measure
    ) -> Generator[Sequence[Subset], list[float], list[Swap]]:
        """Return the exchanges that gain, best first."""
        others = frozenset(problem.removable) - chosen
        swaps = []
        for length in self._lengths(chosen):
            coarse = {
                g: sum(known[(i,)] for i in g)
                for s in (chosen, others)
                for g in _windows(s, length)
            }
            regretted = sorted(_windows(chosen, length), key=lambda g: (-coarse[g], g))[
                : self.groups
            ]
            promising = sorted(_windows(others, length), key=lambda g: (coarse[g], g))[
                : self.groups
            ]
            new = [g for g in regretted + promising if g not in known]
            if new:
                known.update((yield from measure(new)))
            swaps += [Swap(r, p, known[r] - known[p]) for r in regretted for p in promising]
        gaining = [swap for swap in swaps if swap.gain > 0]
        return sorted(gaining, key=lambda s: (-s.gain, s.restored, s.removed))

    def _lengths(self, chosen: Subset) -> list[int]:
        runs = {len(run) for run in _runs(chosen)}
        return list(range(1, max(runs) + 1)) if self.sub_windows else sorted(runs)

    def _accepts(
        self, following: Subset, chosen: Subset
    ) -> Generator[Sequence[Subset], list[float], bool]:
        if not self.guard:
            return True
        new, old = yield Best([following, chosen], winners=1)
        return new < old

    def _measure(self, problem: Problem) -> Measure:
        finite = FiniteLosses()

        def by_loss(
            groups: Sequence[Group],
        ) -> Generator[Sequence[Subset], list[float], Importances]:
            losses = yield [frozenset(group) for group in groups]
            return dict(zip(groups, finite(losses), strict=True))

        def by_information(
            groups: Sequence[Group],
        ) -> Generator[Sequence[Subset], list[float], Importances]:
            yield from ()  # requests nothing
            table = problem.signals["block_similarity"]
            return {group: -table[group[0]][group[-1] + 1] for group in groups}

        return by_loss if self.oracle == "loss" else by_information


def _exchange(chosen: Subset, swaps: Sequence[Swap]) -> Subset:
    """Apply swaps, best first, skipping those that touch a block touched before."""
    touched: set[int] = set()
    for swap in swaps:
        if not swap.touches(touched):
            touched.update(swap.restored, swap.removed)
            chosen = chosen - set(swap.restored) | set(swap.removed)
    return chosen


def _runs(blocks: Collection[int]) -> list[Group]:
    """Split blocks into maximal contiguous groups.

    >>> _runs({1, 2, 5})
    [(1, 2), (5,)]
    """
    runs: list[Group] = []
    for block in sorted(blocks):
        if runs and runs[-1][-1] == block - 1:
            runs[-1] = (*runs[-1], block)
        else:
            runs.append((block,))
    return runs


def _windows(blocks: Collection[int], length: int) -> list[Group]:
    """List all contiguous groups of that length."""
    return [run[i : i + length] for run in _runs(blocks) for i in range(len(run) - length + 1)]


@hookimpl
def prunekit_searchers() -> list[type]:
    return [FastBlockSelect]
