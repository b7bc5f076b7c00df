"""Does a choice among finalists on held-out samples hold on text that nobody searched on?

    python benchmarks/choosing.py MODEL CALIBRATION.jsonl TEST.jsonl WIKI.raw

For each draw and size of the calibration set, every searcher runs with all finalists. Its choice
and the winner among the finalists are then measured on two fixed test sets, which no search and no
held-out sample can meet. Each line is printed, and appended to choosing.jsonl, as soon as it is
known; a run that is stopped goes on from its journals. The table is that of all lines.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from prunekit.core.problem import DENSE, Subset, words
from prunekit.core.registry import load
from prunekit.engine.config import parse
from prunekit.engine.finalists import Finals
from prunekit.engine.opening import open_session
from prunekit.engine.plan import Plan, resolve
from prunekit.engine.run import Choice, SearchRun
from prunekit.engine.session import Session
from prunekit.engine.stability import stability

SEARCHERS = ("random", "one-shot", "greedy", "genetic")
RANKINGS = ("angular", "block-influence", "relative-magnitude")
FINALISTS = 5
TEST = {"samples": 24, "length": 128}


def main() -> None:
    warnings.simplefilter("ignore")
    given = arguments()
    rows = list(measured(given))
    print(table(rows))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("text", help="calibration text")
    parser.add_argument("tests", nargs="+", help="test texts; the first gives the table")
    parser.add_argument("--sizes", default="2x48,4x48,8x48", help="SAMPLESxTOKENS")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--budget", type=int, default=7)
    parser.add_argument("--workdir", type=Path, default=Path("choosing"))
    return parser.parse_args()


def measured(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    given.workdir.mkdir(exist_ok=True)
    with ExitStack() as stack, (given.workdir / "choosing.jsonl").open("a") as log:
        plans = [plan_of(given, "one-shot", data=test, **TEST) for test in given.tests]
        tests = [stack.enter_context(open_session(plan, given.workdir)) for plan in plans]
        for draw in range(given.draws):
            for size in given.sizes.split(","):
                for row in of_draw(given, size, draw, tests):
                    print(json.dumps(row), file=log, flush=True)
                    yield row


def plan_of(given: argparse.Namespace, searcher: str, **options: Any) -> Plan:
    registry = load()
    settings = {"model": given.model, "searcher": searcher, "budget": given.budget}
    return resolve(parse({**settings, "ppl": options}, registry), registry)


def of_draw(
    given: argparse.Namespace, size: str, draw: int, tests: Sequence[Session]
) -> Iterator[dict[str, Any]]:
    samples, length = map(int, size.split("x"))
    options = {"data": given.text, "samples": samples, "length": length, "seed": draw}
    plans = {name: plan_of(given, name, **options) for name in (*RANKINGS, *SEARCHERS)}
    with ExitStack() as stack:
        session = stack.enter_context(open_session(plans["one-shot"], given.workdir))
        finals = Finals(stack, session, given.workdir)
        for name, plan in plans.items():
            run = SearchRun[str](lambda run: None)
            run.start(session, {name: plan})
            choice = run.finish(session, {name: plan})[name]
            assert isinstance(choice, Choice), choice
            row = {"size": size, "draw": draw, "searcher": name, "own": words(choice.removed)}
            row["tests"] = [above_dense(test, choice.removed) for test in tests]
            if held := finals.choose(plan, name, choice.driver, FINALISTS):
                stable = stability(choice.driver, session)
                row |= {
                    "winner": words(held.winner),
                    "found_by": held.finalists[0].found_by,
                    "winner_tests": [above_dense(test, held.winner) for test in tests],
                    "overfitting": held.overfitting.value,
                    "agreement": stable.agreement if stable else None,
                }
            yield row


def above_dense(session: Session, subset: Subset) -> float:
    loss, dense = session.losses([subset, DENSE])
    return loss - dense


def table(rows: Sequence[dict[str, Any]]) -> str:
    lines = []
    for size in dict.fromkeys(row["size"] for row in rows):
        here = [row for row in rows if row["size"] == size]
        best = best_ranking(here)
        lines += [f"\n{size}, best ranking on average: {best}", HEAD, RULE]
        lines += [line(here, name, best) for name in (*RANKINGS, *SEARCHERS)]
    return "\n".join(lines)


HEAD = "| searcher | own | winner | winner - own | winner - ranking | overfitting | agreement |"
RULE = "|---|---|---|---|---|---|---|"


def best_ranking(rows: Sequence[dict[str, Any]]) -> str:
    """Return the ranking with the lowest mean loss on the first test set: an oracle's pick."""
    return min(RANKINGS, key=lambda name: statistics.mean(by_draw(rows, name, "tests").values()))


def by_draw(rows: Sequence[dict[str, Any]], name: str, key: str) -> dict[int, float]:
    return {row["draw"]: row[key][0] for row in rows if row["searcher"] == name and key in row}


def line(rows: Sequence[dict[str, Any]], name: str, best: str) -> str:
    own, won = by_draw(rows, name, "tests"), by_draw(rows, name, "winner_tests")
    ranked = by_draw(rows, best, "tests")
    cells = [name, f"{statistics.mean(own.values()):.3f}"]
    if not won:
        return f"| {' | '.join(cells)} | | | | | |"
    mine = [row for row in rows if row["searcher"] == name]
    predicted = [row["agreement"] for row in mine if row["agreement"] is not None]
    cells += [
        f"{statistics.mean(won.values()):.3f}",
        paired([won[draw] - own[draw] for draw in won]),
        paired([won[draw] - ranked[draw] for draw in won]),
        paired([row["overfitting"] for row in mine]),
        f"{statistics.mean(predicted):.2f} / {observed(mine):.2f}" if predicted else "",
    ]
    return f"| {' | '.join(cells)} |"


def paired(differences: Sequence[float]) -> str:
    """Write the mean over draws and its standard error."""
    mean = statistics.mean(differences)
    if len(differences) < 2:
        return f"{mean:+.3f}"
    return f"{mean:+.3f} ± {statistics.stdev(differences) / math.sqrt(len(differences)):.3f}"


def observed(rows: Sequence[dict[str, Any]]) -> float:
    """Return the mean share of blocks that two draws choose alike."""
    sets = [set(row["own"].split(",")) for row in rows]
    pairs = [(a, b) for i, a in enumerate(sets) for b in sets[:i]]
    return statistics.mean(len(a & b) / len(a) for a, b in pairs) if pairs else math.nan


if __name__ == "__main__":
    main()
