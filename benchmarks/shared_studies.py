"""Measure the saving of a study: searches in lock-step, one by one, and without sharing.

    python benchmarks/shared_studies.py [MODEL] [--objective ppl] [--samples 8] [--seeds 1]

Three ways in one run, with the same code otherwise, on one model and one calibration set:

  together   as `prunekit study` does it: one journal, requests merged, prefixes shared
  alone      each search by itself with an empty journal; prefixes within a request are shared
  uncached   a loop that measures every subset that is asked for by itself, repeats included

Counted are block forwards over the whole calibration set, and timed is the measuring only: what a
searcher itself computes is the same in all three. The model is loaded once and not timed. Processor
time is reported beside wall time, since other work on the machine affects it less.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from prunekit.core.driver import Driver
from prunekit.core.interfaces import Searcher
from prunekit.core.problem import DENSE, Problem, Subset
from prunekit.core.registry import load
from prunekit.core.trie import block_runs_alone
from prunekit.engine.lockstep import LockStep
from prunekit.engine.opening import open_session
from prunekit.engine.plan import Plan
from prunekit.engine.quiet import quiet_libraries
from prunekit.engine.session import Session
from prunekit.engine.single_session import SingleSession
from prunekit.engine.study_folder import Cell
from prunekit.plugins.commands.study.config import parse_study
from prunekit.plugins.commands.study.planning import Group, plan_study

T = TypeVar("T")
SEARCHERS = ["one-shot", "greedy", "beam", "genetic", "bayesian", "cbo", "fast-block-select"]
BUDGETS = [3, 4]


@dataclass
class Seconds:
    """Wall time and processor time."""

    clock: float = 0.0
    processor: float = 0.0


@dataclass
class Way:
    """The cost of one way, and the choices of its searches."""

    block_runs: int
    seconds: Seconds
    chosen: Mapping[Cell, Subset]


def main() -> None:
    quiet_libraries()
    group = planned(arguments())
    with tempfile.TemporaryDirectory() as place, open_session(some(group), Path(place)) as kept:
        kept.losses([DENSE])  # the first forward is slower than all that follow
        ways = {
            "together": together(group, Path(place, "together")),
            "alone": alone(group, Path(place, "alone")),
            "uncached": uncached(group, kept),
        }
    show(group, ways)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="demo:qwen3")
    parser.add_argument("--objective", default="ppl")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=1, help="for searchers that use chance")
    return parser.parse_args()


def planned(given: argparse.Namespace) -> Group:
    options = {"samples": given.samples}
    if given.objective in ("ppl", "kl"):
        options["length"] = given.length
    words = {"models": given.model, "objectives": {given.objective: options}}
    grid = {**words, "searchers": SEARCHERS, "budgets": BUDGETS}
    grid["seeds"] = list(range(given.seeds))
    (group,) = plan_study(parse_study(grid, load(), Path()), load())
    return group


def together(group: Group, place: Path) -> Way:
    clock = Clock()
    with open_session(some(group), place) as session:
        lockstep = LockStep({cell: search(plan) for cell, plan in plans(group).items()})

        def evaluate(wanted: Sequence[Subset], share: float) -> dict[Subset, float]:
            losses = clock.timed(lambda: session.losses(wanted, share))
            return dict(zip(wanted, losses, strict=True))

        lockstep.run(evaluate)
        return Way(session.block_runs, clock.seconds, lockstep.removed)


def alone(group: Group, place: Path) -> Way:
    clock, runs, chosen = Clock(), 0, {}
    for number, (cell, plan) in enumerate(plans(group).items()):
        with open_session(plan, place / str(number)) as session:
            chosen[cell] = drive(plan, lambda s, of=session: clock.timed(lambda: of.losses(s)))
            runs += session.block_runs
    return Way(runs, clock.seconds, chosen)


def uncached(group: Group, session: Session) -> Way:
    """Bypass the journal and measure one subset at a time."""
    assert isinstance(session, SingleSession)
    clock, runs, chosen = Clock(), 0, {}
    for cell, plan in plans(group).items():
        asked: list[Subset] = []

        def losses(subsets: list[Subset], asked: list[Subset] = asked) -> list[float]:
            asked += subsets
            return [clock.timed(lambda s=subset: one(session, s)) for subset in subsets]

        chosen[cell] = drive(plan, losses)
        runs += block_runs_alone(asked, plan.problem.n_blocks)
    return Way(runs, clock.seconds, chosen)


def one(session: SingleSession, subset: Subset) -> float:
    pieces = list(session.meter.measure([[subset]] * len(session.cache.spans)))
    return session.reduce(
        [x for piece in pieces for x in piece.sums], [x for piece in pieces for x in piece.weights]
    )


def drive(plan: Plan, losses: Callable[[list[Subset]], list[float]]) -> Subset:
    driver = Driver(*search(plan)).run(lambda subsets: losses(list(subsets)))
    assert driver.removed is not None
    return driver.removed


def search(plan: Plan) -> tuple[Searcher, Problem]:
    return plan.searcher, plan.problem


def plans(group: Group) -> dict[Cell, Plan]:
    return {cell: plan for cell, plan in group.plans.items() if plan is not None}


def some(group: Group) -> Plan:
    return next(iter(plans(group).values()))


class Clock:
    """Adds up seconds."""

    def __init__(self) -> None:
        self.seconds = Seconds()

    def timed(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, and add its time."""
        clock, processor = time.perf_counter(), time.process_time()
        result = work()
        self.seconds.clock += time.perf_counter() - clock
        self.seconds.processor += time.process_time() - processor
        return result


def show(group: Group, ways: Mapping[str, Way]) -> None:
    base = ways["together"]
    print(f"{group.model}, {group.objective}: {len(group.cells)} searches, budgets {BUDGETS}")
    for name, way in ways.items():
        same = sum(way.chosen[cell] == base.chosen[cell] for cell in group.cells)
        print(
            f"{name:9} {way.block_runs:7,} block forwards ({way.block_runs / base.block_runs:.2f}x)"
            f" {compared(way.seconds.clock, base.seconds.clock)} of the clock"
            f" {compared(way.seconds.processor, base.seconds.processor)} of the processor"
            f"  {same} of {len(group.cells)} choices as together"
        )


def compared(seconds: float, base: float) -> str:
    return f"{seconds:7.1f} s ({seconds / base:.2f}x)"


if __name__ == "__main__":
    main()
