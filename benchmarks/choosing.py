"""Does a choice among finalists on held-out samples hold on text that nobody searched on?

    python benchmarks/choosing.py MODEL --text TEXT.jsonl --test TEST.jsonl [TEST ...]
        [--items ITEMS.jsonl] [--questions QUESTIONS.jsonl]
        [--sizes 4x48,8x64,16x96] [--draws 5] [--budget 7] [--workdir choosing]
        [--searchers one-shot,random,greedy,genetic,swaps]

For each size and draw of the calibration set, every searcher runs with all finalists. Its own
choice, the best of its own finalists on held-out samples, and the winner among all of them are then
measured on fixed test texts, which no search and no held-out sample can meet; with `--items` also
the accuracy on questions. With `--questions`, `swaps` searches on a few of these questions by
`margin` and by `choice` too.

The rows of a calibration set are appended to choosing.jsonl when they are known, and a run that is
stopped goes on where it was. Tests that are new, as with `--items` the second time, are made up for
first. The tables come at the end; `choosing_tables.py` prints those of the
rows so far.
"""

from __future__ import annotations

import argparse
import itertools
import json
import warnings
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from choosing_tables import RANKINGS, ROWS, read_rows, tables

from prunekit.core.problem import DENSE, Subset
from prunekit.core.registry import load
from prunekit.engine.config import parse
from prunekit.engine.files import write_text
from prunekit.engine.finalists import Finals
from prunekit.engine.held_out import HeldOut
from prunekit.engine.opening import open_session
from prunekit.engine.plan import Plan, resolve
from prunekit.engine.quiet import quiet_libraries
from prunekit.engine.run import Choice, SearchRun
from prunekit.engine.session import Session
from prunekit.engine.single_session import SingleSession
from prunekit.engine.stability import stability

SEARCHERS = ("one-shot", "random", "greedy", "genetic", "swaps")
FINALISTS = 5
CHOICES = {"own": "tests", "five": "five_tests", "winner": "winner_tests"}
"""The keys of subsets in a row, and those of their results."""
TEST = {"samples": 24, "length": 128}
ITEMS = {"samples": 100, "negatives": "max"}
QUESTIONS, QUESTION_DRAWS = 8, 3
SMALL = {
    "random": {"trials": 40},
    "genetic": {"population": 8, "generations": 5},
    "swaps": {"trials": 60},
    "annealing": {"trials": 60},
    "bayesian": {"trials": 60},
    "beam": {"width": 2},
}
"""Options that make all searches of a cell affordable on one core."""


def main() -> None:
    quiet_libraries()
    warnings.simplefilter("ignore")  # the remarks of a hundred searches
    given = arguments()
    given.workdir.mkdir(exist_ok=True)
    measure_all(given, given.workdir / ROWS)
    print(tables(read_rows(given.workdir / ROWS)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--text", required=True, help="calibration and held-out text")
    parser.add_argument("--test", nargs="+", required=True, help="test texts")
    parser.add_argument("--items", help="test questions")
    parser.add_argument("--questions", help="calibration and held-out questions")
    parser.add_argument("--sizes", default="4x48,8x64,16x96", help="SAMPLESxTOKENS")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--budget", type=int, default=7)
    parser.add_argument("--searchers", default=",".join(SEARCHERS))
    parser.add_argument("--workdir", type=Path, default=Path("choosing"))
    return parser.parse_args()


@dataclass
class Cell:
    """One calibration set, and the searches on it."""

    objective: str
    size: str
    draw: int
    options: Mapping[str, Any]
    searchers: tuple[str, ...]


def cells(given: argparse.Namespace) -> Iterator[Cell]:
    for size in given.sizes.split(","):
        samples, length = map(int, size.split("x"))
        for draw in range(given.draws):
            options = {"data": given.text, "samples": samples, "length": length, "seed": draw}
            yield Cell("ppl", size, draw, options, (*RANKINGS, *given.searchers.split(",")))
    for draw in range(min(given.draws, QUESTION_DRAWS) if given.questions else 0):
        options = {"data": given.questions, "samples": QUESTIONS, "seed": draw}
        for objective in ("margin", "choice"):
            yield Cell(objective, f"{QUESTIONS} questions", draw, options, ("swaps",))


def measure_all(given: argparse.Namespace, path: Path) -> None:
    known = {key(row) for row in read_rows(path)}
    with ExitStack() as stack:
        tests = Tests(given, stack)
        make_up(path, tests)
        log = stack.enter_context(path.open("a", encoding="utf-8"))
        for cell in cells(given):
            wanted = [name for name in cell.searchers if key(vars(cell), name) not in known]
            for row in rows_of(given, cell, wanted, tests) if wanted else ():
                print(json.dumps(row), file=log, flush=True)


def make_up(path: Path, tests: Tests) -> None:
    """Add the results of tests that were not known when rows were written."""
    rows = [dict(row) for row in read_rows(path)]
    for row, (which, results) in itertools.product(rows, CHOICES.items()):
        if which in row:
            row[results] |= tests.of(frozenset(row[which]), known=row[results])
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def key(row: Mapping[str, Any], name: str = "") -> tuple[Any, ...]:
    return row["objective"], row["size"], row["draw"], name or row["searcher"]


class Tests:
    """Test sets that are open, and what a subset loses on each."""

    def __init__(self, given: argparse.Namespace, stack: ExitStack) -> None:
        plans = {
            Path(data).name: plan_of(given, "one-shot", "ppl", {"data": data, **TEST})
            for data in given.test
        }
        if given.items:
            options = {"data": given.items, **ITEMS}
            plans["items"] = plan_of(given, "one-shot", "margin", options)
        self.sessions = {
            name: stack.enter_context(open_session(plan, given.workdir))
            for name, plan in plans.items()
        }

    def measure(self, subsets: Iterable[Subset]) -> None:
        """Measure subsets together, which share the blocks they begin with."""
        for session in self.sessions.values():
            session.losses([DENSE, *subsets])

    def of(self, subset: Subset, known: Container[str] = ()) -> dict[str, float]:
        """Return nats per token above dense on texts, and points of accuracy above it on items.

        Tests that are `known` are left out.
        """
        return {
            name: score(name, session, subset) - score(name, session, DENSE)
            for name, session in self.sessions.items()
            if name not in known
        }


def score(name: str, session: Session, subset: Subset) -> float:
    """Return the loss on a text, or the accuracy on items in per cent.

    An item is right if its right answer is likelier, per token, than all others.
    """
    if name != "items":
        return session.losses([subset])[0]
    assert isinstance(session, SingleSession)
    (measured,) = session.cache.measure([subset])
    return 100 * sum(minus_margin < 0 for minus_margin in measured.sums) / len(measured.sums)


def plan_of(
    given: argparse.Namespace, searcher: str, objective: str, options: Mapping[str, Any]
) -> Plan:
    words = {"model": given.model, "searcher": searcher, "budget": given.budget}
    words |= {"objective": objective, objective: options}
    if searcher in SMALL:
        words[searcher] = SMALL[searcher]
    registry = load()
    return resolve(parse(words, registry), registry)


def rows_of(
    given: argparse.Namespace, cell: Cell, names: list[str], tests: Tests
) -> list[dict[str, Any]]:
    """Run the searches of a cell over one session, and test what they choose."""
    plans = {name: plan_of(given, name, cell.objective, cell.options) for name in names}
    with ExitStack() as stack:
        session = stack.enter_context(open_session(plans[names[0]], given.workdir))
        finals = Finals(stack, session, given.workdir)
        choices = {name: chosen(session, name, plan) for name, plan in plans.items()}
        held = {
            name: finals.choose(plans[name], name, choice.driver, FINALISTS)
            for name, choice in choices.items()
        }
        opened = {name: finals for name, finals in held.items() if finals}
        tests.measure(
            {choice.removed for choice in choices.values()}
            | {finals.winner for finals in opened.values()}
            | {best_of_own(name, finals) for name, finals in opened.items()}
        )
        return [
            {"objective": cell.objective, "size": cell.size, "draw": cell.draw, "searcher": name}
            | row_of(session, name, choice, held[name], tests)
            for name, choice in choices.items()
        ]


def best_of_own(name: str, held: HeldOut) -> Subset:
    """Return the best on held-out samples of the subsets that the search itself measured."""
    return next(frozenset(x.removed) for x in held.finalists if x.found_by == name)


def row_of(
    session: Session, name: str, choice: Choice, held: HeldOut | None, tests: Tests
) -> dict[str, Any]:
    own = {
        "own": sorted(choice.removed),
        "loss": choice.difference.value,
        "tests": tests.of(choice.removed),
    }
    if held is None:
        return own
    stable = stability(choice.driver, session)
    return own | {
        "five": sorted(best_of_own(name, held)),
        "five_tests": tests.of(best_of_own(name, held)),
        "winner": sorted(held.winner),
        "found_by": held.finalists[0].found_by,
        "winner_loss": session.difference(held.winner, DENSE).value,
        "winner_tests": tests.of(held.winner),
        "overfitting": held.overfitting.value,
        "agreement": stable.agreement if stable else None,
    }


def chosen(session: Session, name: str, plan: Plan) -> Choice:
    run = SearchRun[str](lambda run: None)
    run.start(session, {name: plan})
    choice = run.finish(session, {name: plan})[name]
    if not isinstance(choice, Choice):
        raise choice
    return choice


if __name__ == "__main__":
    main()
