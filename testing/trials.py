"""Run a searcher on problems with made-up losses, and report any error as its fault."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from prunekit.core.driver import Driver
from prunekit.core.errors import WHERE, PluginError
from prunekit.core.interfaces import Searcher
from prunekit.core.problem import Problem, Subset, words
from prunekit.engine.signals import synthetic_signals
from prunekit.testing.contract import Checker, ContractError

Loss: TypeAlias = Callable[[Subset], float]
Answered: TypeAlias = list[list[tuple[list[int], float]]]
"""Every request with the losses that answered it."""
Plain: TypeAlias = list[dict[str, Any]]
"""The requests and the choice of each search that is repeated."""

ENOUGH = 50_000
"""Subsets asked for on a toy problem after which a search is taken to be endless."""


@dataclass(frozen=True)
class Case:
    """A problem with made-up losses."""

    what: str
    problem: Problem
    loss: Loss


@dataclass(frozen=True)
class Record:
    """The requests of a searcher, their losses, and its choice."""

    answered: Answered
    removed: Subset

    @property
    def losses(self) -> dict[Subset, float]:
        """Return the loss of each subset requested."""
        return {frozenset(blocks): loss for request in self.answered for blocks, loss in request}

    def as_plain(self) -> dict[str, Any]:
        """Return lists and numbers, as another process can write them."""
        requests = [[blocks for blocks, _ in request] for request in self.answered]
        return {"requests": requests, "choice": sorted(self.removed)}


def run(checker: Checker, searcher: Searcher, case: Case) -> Record:
    """Run the searcher to its end, and report any error as its fault."""
    signals = _Signals(checker, synthetic_signals(searcher, case.problem.n_blocks))
    before = copy.deepcopy(dict(signals))
    answered: Answered = []

    def answer(request: Sequence[Subset]) -> list[float]:
        _check_end(checker, driver, case)
        losses = [case.loss(subset) for subset in request]
        answered.append([(sorted(s), loss) for s, loss in zip(request, losses, strict=True)])
        return losses

    try:
        driver = Driver(searcher, replace(case.problem, signals=signals))
        driver.run(answer)
    except PluginError as error:
        cause = error.__cause__
        raise cause if isinstance(cause, ContractError) else _fault(error, case) from cause
    checker.require(
        before == dict(signals), "changes the signals that it is given; copy them first"
    )
    assert driver.removed is not None
    return Record(answered, driver.removed)


def _fault(error: PluginError, case: Case) -> ContractError:
    reason = str(error).removesuffix(WHERE)
    hint = ""
    if "TypeError: '<' not supported" in reason and "equal" in case.what:
        hint = (
            "; of equal losses take the first subset in order: key=lambda s: (loss[s], sorted(s))"
        )
    return ContractError(f"{reason} ({case.what}: {shown(case.problem)}){hint}")


def shown(problem: Problem) -> str:
    """Describe a problem briefly."""
    protected = f", protected {words(problem.protected)}" if problem.protected else ""
    return f"{problem.n_blocks} blocks, budget {problem.budget}{protected}"


class _Signals(dict[str, Sequence[Sequence[float]]]):
    """The signals requested; access to any other is a fault."""

    def __init__(self, checker: Checker, tables: Mapping[str, Sequence[Sequence[float]]]) -> None:
        super().__init__({name: [list(row) for row in table] for name, table in tables.items()})
        self.checker = checker

    def __missing__(self, name: str) -> Any:
        self.checker.require(False, f"reads the signal {name!r}, which its `needs` does not name")


def _check_end(checker: Checker, driver: Driver, case: Case) -> None:
    checker.require(
        driver.asked < ENOUGH,
        f"does not end: it asked for {driver.asked:,} subsets {case.what} "
        f"({shown(case.problem)}); return a choice once nothing new is asked for",
    )
