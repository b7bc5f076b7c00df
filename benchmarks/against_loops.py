"""Time searches against the loop that evaluates every candidate from scratch.

    python benchmarks/against_loops.py MODEL --data TEXT.jsonl [--objective ppl]
        [--samples 4] [--length 64] [--budget 4] [--searchers one-shot,greedy,...] [--repeats 3]
        [--race-deviations 3]

The baseline is what published code does (SLEB, EvoPress): for each candidate its blocks are
bypassed, the model's own forward runs on the calibration set, and the loss is taken from its
logits; with `--objective margin`, each answer by itself. Both sides answer the same searcher in the
same process, in turns, after the model is loaded; neither measures a subset twice. CPU seconds are
medians over the repeats. Races are prunekit's alone; both sides run the batches that races need.

"products" is the time of the matrix products alone of all blocks and heads that prunekit ran, as a
share of its CPU seconds; with races too high, as each subset counts with all its heads. "memory" is
the largest growth of resident memory during a search.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from plain_loop import Loop

from prunekit.core.batch import IGNORE, Batch
from prunekit.core.driver import Driver, needs_of
from prunekit.core.problem import DENSE, Best, Subset, share_of, words
from prunekit.core.registry import load
from prunekit.engine.config import parse
from prunekit.engine.opening import open_session
from prunekit.engine.plan import Plan, resolve
from prunekit.engine.quiet import quiet_libraries
from prunekit.engine.race import Race
from prunekit.engine.session import Session

SEARCHERS = "one-shot,greedy,beam,genetic,bayesian,fast-block-select,cbo"
OPTIONS: dict[str, dict[str, Any]] = {
    "genetic": {"population": 16, "generations": 8},
    "bayesian": {"trials": 60},
}
"""Smaller than the defaults, so that the loop ends in time."""
ALIKE = 0.02
"""Largest difference of losses of the two sides: a 16-bit model's own head rounds its logits."""


def main() -> None:
    quiet_libraries()
    given = arguments()
    import torch

    torch.set_num_threads(given.threads)
    print(f"{given.objective}, {given.samples} samples, budget {given.budget}, CPU seconds\n")
    print(
        "searcher            subsets   blocks: loop  shared     run    loop  prunekit  ratio  "
        "products  memory"
    )
    for name in given.searchers.split(","):
        print(row(name, compare(given, name)), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--data", default="demo", help="calibration text or items")
    parser.add_argument("--objective", default="ppl")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--budget", type=int, default=4)
    parser.add_argument("--searchers", default=SEARCHERS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--race-deviations", type=float, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


@dataclass
class Side:
    """One side's search: what it chose, and what that took."""

    driver: Driver
    seconds: float
    memory: int = 0


@dataclass
class Comparison:
    """The repeats of both sides, and what they ran, each block over the whole calibration set."""

    ours: list[Side]
    loops: list[Side]
    subsets: int
    blocks_of_loop: int
    blocks_shared: int
    blocks_run: int
    products: float


def row(name: str, found: Comparison) -> str:
    ours, loop = (
        statistics.median(side.seconds for side in sides) for sides in (found.ours, found.loops)
    )
    memory = max(side.memory for side in found.ours) / 1e6
    return (
        f"{name:18} {found.subsets:8} {found.blocks_of_loop:14} {found.blocks_shared:7} "
        f"{found.blocks_run:7} {loop:7.1f} {ours:9.1f} {loop / ours:6.2f} "
        f"{found.products / ours:9.0%} {memory:4.0f} MB{differences(found)}"
    )


def differences(found: Comparison) -> str:
    """Say where the two sides do not agree."""
    ours, loop = found.ours[0].driver, found.loops[0].driver
    if ours.removed != loop.removed:
        return f"  CHOICES DIFFER: {words(ours.removed or ())}; {words(loop.removed or ())}"
    both = ours.losses.keys() & loop.losses.keys()  # rounding may lead to other ways
    kept = [s for s in both if math.isfinite(ours.losses[s])]
    gap = max(abs(ours.losses[s] - loop.losses[s]) for s in kept)
    return f"  LOSSES DIFFER by {gap:.3f}" if gap > ALIKE else ""


def compare(given: argparse.Namespace, name: str) -> Comparison:
    plan = plan_of(given, name)
    with tempfile.TemporaryDirectory() as folder, open_session(plan, Path(folder)) as first:
        adapter: Any = first.adapter
        runs = counted(adapter)
        loop = Loop(plan, adapter)
        loop.losses([DENSE])  # the first forward pass is slower
        loops, ours, shared, ran = [], [], 0, 0
        for repeat in range(given.repeats):
            with open_session(plan, Path(folder, str(repeat))) as session:
                before = len(runs)
                ours.append(search(plan, session, racing(plan, session)))
                shared, ran = session.block_runs, len(runs) - before
            loops.append(search(plan, first, remembered(loop.losses)))
        n_batches = len(loop.batches)
        subsets = set(ours[0].driver.requests)
        n = adapter.facts.n_blocks
        return Comparison(
            ours,
            loops,
            len(subsets),
            sum(n - len(s) for s in subsets),
            shared,
            ran // n_batches,
            products(adapter, loop.batches, ran // n_batches, len(subsets)),
        )


def plan_of(given: argparse.Namespace, name: str) -> Plan:
    options = {"data": given.data, "samples": given.samples}
    if given.objective not in ("margin", "choice"):
        options["length"] = given.length
    wanted = {"model": given.model, "searcher": name, "budget": given.budget, "device": "cpu"}
    wanted["race_deviations"] = given.race_deviations
    wanted |= {"objective": given.objective, given.objective: options}
    if name in OPTIONS:
        wanted[name] = OPTIONS[name]
    registry = load()
    return resolve(parse(wanted, registry), registry)


Losses = Callable[[Sequence[Subset]], list[float]]


def search(plan: Plan, session: Session, losses: Losses) -> Side:
    """Run the search with one side's losses; its signals are measured before the clock starts."""
    signals = {signal.name: session.signal(signal) for signal in needs_of(plan.searcher)}
    driver = Driver(plan.searcher, replace(plan.problem, signals=signals))
    with growth() as memory:
        start = time.process_time()
        while driver.request is not None:
            assert share_of(driver.request) == 1  # the loop measures whole sets
            driver.answer(losses(driver.request))
        seconds = time.process_time() - start
    return Side(driver, seconds, memory[0])


def racing(plan: Plan, session: Session) -> Losses:
    """Return the session's losses; where candidates race, those that drop out are beyond all."""
    race = Race(plan.config.settings.race_deviations)

    def answer(subsets: Sequence[Subset]) -> list[float]:
        if not (race.deviations and isinstance(subsets, Best)):
            return session.losses(subsets)
        found = race.losses(session, subsets)
        return [found.get(subset, math.inf) for subset in subsets]

    return answer


def remembered(losses: Losses) -> Losses:
    """Measure no subset twice."""
    known: dict[Subset, float] = {}

    def answer(subsets: Sequence[Subset]) -> list[float]:
        new = [s for s in dict.fromkeys(subsets) if s not in known]
        known.update(zip(new, losses(new), strict=True))
        return [known[s] for s in subsets]

    return answer


def counted(adapter: Any) -> list[int]:
    """Return a list that grows with each block that the adapter runs."""
    runs: list[int] = []
    block = adapter.block
    adapter.block = lambda index, state: runs.append(index) or block(index, state)
    return runs


def products(adapter: Any, batches: Sequence[Batch], blocks: int, subsets: int) -> float:
    """Return the CPU seconds of the matrix products alone of so many blocks and heads."""
    import torch

    model = adapter.model
    tokens = sum(batch.input_ids.numel() for batch in batches)
    scored = sum(int((batch.targets != IGNORE).sum()) for batch in batches)
    layers = [m for m in adapter.blocks.modules[0].modules() if isinstance(m, torch.nn.Linear)]
    of_block = sum(seconds_of(layer, tokens) for layer in layers)
    return blocks * of_block + subsets * seconds_of(model.get_output_embeddings(), scored)


def seconds_of(layer: Any, rows: int) -> float:
    import torch

    weight = layer.weight
    given = torch.randn(rows, weight.shape[1], dtype=weight.dtype)
    out = torch.empty(rows, weight.shape[0], dtype=weight.dtype)
    torch.mm(given, weight.t(), out=out)
    start, repeats = time.process_time(), 10
    for _ in range(repeats):
        torch.mm(given, weight.t(), out=out)
    return (time.process_time() - start) / repeats


@contextmanager
def growth() -> Iterator[list[int]]:
    """Note how far resident memory grows inside the context."""
    import psutil

    process, largest, ended = psutil.Process(), [0], threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not ended.wait(0.02):
            largest[0] = max(largest[0], process.memory_info().rss - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield largest
    finally:
        ended.set()
        watcher.join()


if __name__ == "__main__":
    main()
