"""Remove whole periods of blocks, so that their pattern is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from prunekit.core.driver import Driver, check_problem, needs_of
from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import Axis, Search, Searcher, Signal, Table
from prunekit.core.problem import Problem, Subset, with_subsets


@dataclass(frozen=True)
class PeriodSearch(Searcher):
    """Run another searcher on runs of `period` blocks in place of single blocks.

    If the kinds of blocks repeat every `period` blocks, the remaining ones follow the same pattern
    wherever a removed run begins. For each offset below `period`, the model is cut into runs from
    there on, and the searcher chooses among them; the best of the choices is returned.
    """

    name: ClassVar[str] = "whole-periods"
    searcher: Searcher
    period: int

    @property
    def needs(self) -> tuple[Signal, ...]:
        """Return the signals that the searcher needs."""
        return needs_of(self.searcher)

    def check_problem(self, problem: Problem) -> None:
        """Raise ConfigError if no runs fit the budget, or if the searcher refuses the problem."""
        for cut in self._cuts(problem):
            if cut.budget < len(cut.removable):
                check_problem(self.searcher, cut.problem(problem, self.needs))

    def search(self, problem: Problem) -> Search:
        """Search among the runs of each cut in turn."""
        choices = []
        for cut in self._cuts(problem):
            if cut.budget == len(cut.removable):
                choices.append(cut.blocks(frozenset(cut.removable)))
                continue
            driver = Driver(self.searcher, cut.problem(problem, self.needs))
            while driver.request is not None:
                blocks = [cut.blocks(runs) for runs in driver.request]
                losses = yield with_subsets(driver.request, blocks)
                driver.answer(losses)
            assert driver.removed is not None
            choices.append(cut.blocks(driver.removed))
        losses = yield choices
        return min(zip(losses, map(sorted, choices), choices, strict=True))[-1]

    def _cuts(self, problem: Problem) -> list[_Cut]:
        runs, rest = divmod(problem.budget, self.period)
        cuts = [_Cut(start, self.period, problem, runs) for start in range(self.period)]
        most = self.period * max(len(cut.removable) for cut in cuts)
        if most == problem.n_blocks:
            most -= self.period
        if rest or problem.budget > most:
            fits = range(self.period, most + 1, self.period)
            possible = ", ".join(map(str, fits)) or "none"
            raise ConfigError(
                f"the budget is {problem.budget}, but --keep-pattern removes whole periods of "
                f"{self.period} blocks; choose one of: {possible}; or drop that flag"
            )
        return [cut for cut in cuts if runs <= len(cut.removable)]


@dataclass(frozen=True)
class _Cut:
    """Runs of `length` blocks from `start` on; the rest at either end is kept."""

    start: int
    length: int
    whole: Problem
    budget: int
    """runs to remove"""

    @property
    def count(self) -> int:
        return (self.whole.n_blocks - self.start) // self.length

    @property
    def removable(self) -> tuple[int, ...]:
        """Return the runs without a protected block."""
        return tuple(i for i in range(self.count) if not self._run(i) & self.whole.protected)

    def blocks(self, runs: Subset) -> Subset:
        """Return the blocks of some runs."""
        return frozenset().union(*map(self._run, runs))

    def problem(self, whole: Problem, signals: Sequence[Signal]) -> Problem:
        """Return the problem with runs in place of blocks."""
        return Problem(
            n_blocks=self.count,
            budget=self.budget,
            protected=frozenset(range(self.count)) - set(self.removable),
            seed=whole.seed,
            signals={
                s.name: self._reduced(s, whole.signals[s.name])
                for s in signals
                if s.name in whole.signals
            },
        )

    def _run(self, index: int) -> Subset:
        first = self.start + index * self.length
        return frozenset(range(first, first + self.length))

    def _reduced(self, signal: Signal, table: Table) -> Table:
        """Reduce a table to runs: one gate for all blocks of a run, boundaries between runs."""
        groups = [self._groups(axis) for axis in (signal.rows, signal.columns)]
        rows, columns = groups[0] or _each(len(table)), groups[1] or _each(len(table[0]))
        return [[_sum(table, a, b) for b in columns] for a in rows]

    def _groups(self, axis: Axis) -> list[list[int]] | None:
        """Return the groups of indices to merge; None to keep all."""
        if axis == "blocks":
            return [sorted(self._run(i)) for i in range(self.count)]
        if axis == "boundaries":
            return [[self.start + i * self.length] for i in range(self.count + 1)]
        return None


def _each(count: int) -> list[list[int]]:
    return [[i] for i in range(count)]


def _sum(table: Table, rows: Sequence[int], columns: Sequence[int]) -> float:
    return sum(table[i][j] for i in rows for j in columns)
