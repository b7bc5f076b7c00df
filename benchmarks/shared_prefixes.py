"""Measure the saving of shared prefixes: the same subsets together and one by one.

    python benchmarks/shared_prefixes.py [MODEL] [SEARCHER]

The baseline measures every subset by itself and keeps no states, as other tools do, with the same
code otherwise. Also printed: how the choice compares with random subsets of the same size.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from prunekit.core.driver import Driver
from prunekit.core.problem import DENSE
from prunekit.core.registry import load
from prunekit.engine.config import parse
from prunekit.engine.opening import open_session
from prunekit.engine.plan import resolve
from prunekit.engine.quiet import quiet_libraries
from prunekit.engine.session import Session

RANDOM_SUBSETS = 100


def main() -> None:
    model, searcher = (sys.argv[1:] + ["demo", "greedy"][len(sys.argv) - 1 :])[:2]
    quiet_libraries()
    registry = load()
    words = {"model": model, "searcher": searcher}
    plan, plain = (
        resolve(parse(words | more, registry), registry) for more in ({}, {"state_memory": "0"})
    )
    driver = Driver(plan.searcher, plan.problem)
    with tempfile.TemporaryDirectory() as folder:
        with open_session(plan, Path(folder, "shared"), lambda subsets: None) as shared:
            seconds = timed(driver, shared)
            report("shared", shared, seconds)
            compare_with_random(driver, shared)
        with open_session(plain, Path(folder, "alone"), lambda subsets: None) as alone:
            start = time.perf_counter()
            for subset in dict.fromkeys(driver.requests):
                alone.losses([subset])
            apart = time.perf_counter() - start
            report("one by one", alone, apart)
    print(f"ratio of seconds: {apart / seconds:.2f}")


def timed(driver: Driver, session: Session) -> float:
    start = time.perf_counter()
    while driver.request is not None:
        driver.answer(session.losses(driver.request))
    return time.perf_counter() - start


def report(name: str, session: Session, seconds: float) -> None:
    print(
        f"{name}: {session.measured} subsets, {session.block_runs} block forwards, {seconds:.1f} s"
    )


def compare_with_random(driver: Driver, session: Session) -> None:
    rng, problem = random.Random(1), driver.problem
    draws = [
        frozenset(rng.sample(problem.removable, problem.budget)) for _ in range(RANDOM_SUBSETS)
    ]
    losses = sorted(session.losses(draws))
    dense, chosen = session.losses([DENSE, driver.removed or DENSE])
    print(
        f"dense {dense:.4f}, chosen {chosen:.4f}; {RANDOM_SUBSETS} random subsets: "
        f"best {losses[0]:.4f}, median {statistics.median(losses):.4f}, worst {losses[-1]:.4f}"
    )


if __name__ == "__main__":
    main()
