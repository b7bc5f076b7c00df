"""Measure what grows with the number of subsets: searchers' own time, searches, and journals.

    OMP_NUM_THREADS=1 python benchmarks/growth.py

No model is run: losses are made up, and what is counted is processor time outside of measuring. A
searcher should take less than a tenth of what the model takes, about 5 ms a subset at 50 ms each.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from prunekit.core.batch import Batch
from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import Meter
from prunekit.core.measurement import Piece
from prunekit.core.options import build
from prunekit.core.problem import Problem
from prunekit.core.registry import load
from prunekit.core.spec import ModelFacts
from prunekit.engine.cache import MeasurementCache
from prunekit.engine.dry_run import made_up_loss
from prunekit.engine.journal import SCHEMA, Journal
from prunekit.engine.journal_line import write_line
from prunekit.engine.lockstep import LockStep
from prunekit.engine.progress import Progress
from prunekit.engine.run import SearchRun
from prunekit.engine.signals import synthetic_signals
from prunekit.engine.single_session import SingleSession
from prunekit.plugins.commands.search.search import _advance
from prunekit.plugins.objectives.perplexity import Perplexity

SIZES = ((32, 8), (80, 16))
BIG = (
    ("bayesian", {"trials": 400}, (32, 8)),
    ("bayesian", {"trials": 800}, (32, 8)),
    ("cbo", {"fatal_filter": False}, (43, 11)),
)
SEARCHES = (("genetic", {"population": 64, "generations": 60}, (32, 8)), ("beam", {}, (80, 16)))
BATCHES, SAMPLES = 8, 8
DESCRIBES = {"weights": "made up", "objective": "made up", "options": {}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subsets", type=int, default=100_000, help="in the journal")
    parser.add_argument("--samples", type=int, default=128, help="of each subset in the journal")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.open:
        print(json.dumps(opened(given.open)))
        return
    print(
        "| searcher | blocks | budget | subsets | own s | ms a subset |\n|---|---|---|---|---|---|"
    )
    names = [entry.name for entry in load().of("searcher")]
    for name, options, size in [*((n, {}, s) for n in names for s in SIZES), *BIG]:
        print(own_time(name, options, *size), flush=True)
    print("\n| search, all but the model | subsets | s |\n|---|---|---|")
    for name, options, size in SEARCHES:
        print(whole_search(name, options, *size), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        write_journal(Path(folder), given.subsets, given.samples)
        command = [sys.executable, __file__, "--open", folder]
        found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    print(f"\njournal of {given.subsets:,} subsets x {given.samples} samples: ", end="")
    print(f"{found['seconds']:.1f} s, {found['mebibytes']:.0f} MiB")


def searcher_of(name: str, options: dict):
    return build(next(e.cls for e in load().of("searcher") if e.name == name), options, name)


def label(name: str, options: dict) -> str:
    return " ".join([name, *(f"{key}={value}" for key, value in options.items())])


def own_time(name: str, options: dict, n_blocks: int, budget: int) -> str:
    """Return a row with the processor seconds between a searcher's requests."""
    searcher = searcher_of(name, options)
    problem = Problem(n_blocks, budget, signals=synthetic_signals(searcher, n_blocks))
    try:
        searcher.check_problem(problem)
    except ConfigError:
        return f"| {label(name, options)} | {n_blocks} | {budget} | refused | | |"
    steps, losses, seen, own = searcher.search(problem), None, set(), 0.0
    while True:
        start = time.process_time()
        try:
            request = next(steps) if losses is None else steps.send(losses)
        except StopIteration:
            break
        finally:
            own += time.process_time() - start
        seen.update(request)
        losses = [made_up_loss(subset, n_blocks) for subset in request]
    each = f"{1000 * own / len(seen):.2f}" if seen else ""
    return f"| {label(name, options)} | {n_blocks} | {budget} | {len(seen)} | {own:.2f} | {each} |"


class MadeUp(Meter):
    """Gives made-up losses at once, and counts the time that this takes."""

    def __init__(self, n_blocks: int) -> None:
        self.facts = ModelFacts(n_blocks, n_blocks, (1,) * n_blocks, {})
        self.seconds = 0.0

    def measure(self, wanted):
        """Yield all pieces."""
        for batch, subsets in enumerate(wanted):
            for subset in subsets:
                start = time.process_time()
                loss = made_up_loss(subset, self.facts.n_blocks)
                self.seconds += time.process_time() - start
                yield Piece(subset, batch, (loss,) * SAMPLES, (1.0,) * SAMPLES)

    def signal(self, signal):
        """Return the made-up table."""
        return signal.synthetic(self.facts.n_blocks)


def whole_search(name: str, options: dict, n_blocks: int, budget: int) -> str:
    """Return a row with the processor seconds of a search with its journal and progress."""
    meter = MadeUp(n_blocks)
    run = SearchRun(partial(_advance, Progress()))
    batches = [Batch(None, None, None, None, SAMPLES)] * BATCHES
    with tempfile.TemporaryDirectory() as folder:
        cache = MeasurementCache(meter, batches, Journal(Path(folder), {}), run.on_measured)
        session = SingleSession(Perplexity(), meter, cache)
        search = searcher_of(name, options), Problem(n_blocks, budget)
        run.lockstep = LockStep({name: search})
        start = time.process_time()
        run.lockstep.run(lambda wanted, share: run.losses(session, wanted, share))
        seconds = time.process_time() - start - meter.seconds
    row = f"{label(name, options)}, {n_blocks} blocks, budget {budget}"
    return f"| {row} | {len(run.lockstep.drivers[name].losses)} | {seconds:.1f} |"


def write_journal(folder: Path, subsets: int, samples: int) -> None:
    chance, written = random.Random(0), set()
    weights = tuple(float(chance.randint(100, 500)) for _ in range(samples))
    with (folder / "made-up.jsonl").open("w") as file:
        file.write(json.dumps({"schema": SCHEMA, "describes": DESCRIBES}) + "\n")
        while len(written) < subsets:
            subset = frozenset(chance.sample(range(32), 8))
            if subset not in written:
                sums = tuple(3 * w * (1 + chance.random()) for w in weights)
                file.write(write_line(subset, (0, samples), (sums, weights)) + "\n")
                written.add(subset)


def opened(folder: Path) -> dict[str, float]:
    """Open a journal in this process, and return its processor seconds and memory."""
    before, start = mebibytes("VmRSS"), time.process_time()
    journal = Journal(folder, DESCRIBES)
    seconds = time.process_time() - start
    assert len(journal.known)
    return {"seconds": seconds, "mebibytes": mebibytes("VmHWM") - before}


def mebibytes(what: str) -> float:
    """Return a number that Linux keeps of this process: its memory now, or at most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{what}:"))


if __name__ == "__main__":
    main()
