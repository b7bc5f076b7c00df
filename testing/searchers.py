"""The contract of a searcher."""

from __future__ import annotations

import itertools
import math
import time
import warnings
from dataclasses import replace

from prunekit.core.driver import needs_of
from prunekit.core.interfaces import Searcher
from prunekit.core.problem import Problem, Subset, words
from prunekit.engine.signals import synthetic_signals
from prunekit.testing.contract import Checker, ContractError, silent
from prunekit.testing.repeat import elsewhere, no_outside_chance, other_circumstances
from prunekit.testing.toys import toy_loss
from prunekit.testing.trials import Case, Plain, Record, run

SLOW = 2.0
"""Seconds for one toy problem after which a searcher is called slow."""
FATAL = frozenset({0, 7})
PLAIN = Case("with three of eight blocks to go", Problem(8, 3, seed=3), toy_loss)
TIED = (
    Case("with losses that are all equal", Problem(8, 2), lambda subset: 1.0),
    Case("with losses that are all equal", Problem(7, 5), lambda subset: 1.0),
    Case("with many equal losses", Problem(7, 3), lambda subset: float(len(subset & {1, 2}))),
)
REPEATED = (PLAIN, *TIED)
"""Searches that are repeated: ties must be broken the same way every time."""


def check_searcher(searcher: Searcher) -> None:
    """Raise ContractError unless the searcher keeps its contract on problems with made-up losses.

    It must choose `budget` removable blocks on each: with protected blocks, with one block to go
    and with all but one, with equal, negative and infinite losses. It must ask for the same subsets
    again under the same seed, also in another process, and choose the same, ties included; take
    chance from `problem.rng()` alone; end, also when it is closed early; write nothing to standard
    output; and change neither itself nor the signals that it is given. Its module must import
    nothing heavy. A searcher that is slow by itself is only warned of.
    """
    checker = Checker("searcher", searcher)
    checker.check_class()
    checker.check_copies()
    with silent(checker):
        _check_searches(checker, searcher)


def _check_searches(checker: Checker, searcher: Searcher) -> None:
    with checker.doing("naming the signals that it needs"):
        needs_of(searcher)
    with checker.unchanged():
        _check_same_again(checker, searcher)
        slowest = max(_check_case(checker, searcher, case) for case in _cases())
    _check_closes(checker, searcher)
    _warn_if_slow(checker, slowest)


def _check_case(checker: Checker, searcher: Searcher, case: Case) -> float:
    """Run one case; return the seconds it took."""
    start = time.perf_counter()
    record = run(checker, searcher, case)
    seconds = time.perf_counter() - start
    _check_infinite(checker, case, record)
    return seconds


def _warn_if_slow(checker: Checker, seconds: float) -> None:
    """Warn only, as speed depends on the machine."""
    if seconds > SLOW:
        warnings.warn(
            f"{checker.who} took {seconds:.1f} s for a search of a few blocks with made-up losses, "
            "all of them outside of measuring: speed up what it does between requests",
            stacklevel=4,  # where the check is called
        )


def _cases() -> list[Case]:
    return [
        Case("with one block to go", Problem(10, 1), toy_loss),
        Case("with protected blocks", Problem(9, 3, protected=frozenset({0, 1, 8})), toy_loss),
        Case("with all but one block to go", Problem(5, 4), toy_loss),
        Case("with no choice at all", Problem(6, 3, protected=frozenset({0, 2, 5})), toy_loss),
        Case("with two blocks", Problem(2, 1), toy_loss),
        *TIED,
        Case("with negative losses", Problem(7, 3), lambda subset: toy_loss(subset) - 10),
        Case("with blocks that are fatal", Problem(8, 3), _fatal),
        Case("with losses that are all infinite", Problem(7, 3), lambda subset: math.inf),
    ]


def _fatal(subset: Subset) -> float:
    return math.inf if subset & FATAL else toy_loss(subset)


def _check_same_again(checker: Checker, searcher: Searcher) -> None:
    with checker.unchanged():
        first = _repeated(checker, searcher)  # imports libraries, which may draw too
    with no_outside_chance(checker, "problem.rng()"):
        again = _repeated(checker, searcher)
    _require_same(
        checker,
        (first, again),
        "when the same search is run again, so a stopped one could not go on: take chance from "
        "problem.rng() alone, and remember nothing between searches",
    )
    with other_circumstances(seed=17):
        hastily = _repeated(checker, searcher)
    _require_same(
        checker,
        (first, hastily),
        "when the clock runs faster: bound a search by subsets or rounds, not by time",
    )
    with checker.doing("running in another process"):
        there = elsewhere(checker, run_plainly)
    _require_same(
        checker,
        (first, there or first),
        "in another process: go through sets in sorted order, and derive nothing from hash() or "
        "id()",
    )


def _require_same(checker: Checker, runs: tuple[Plain, Plain], when: str) -> None:
    asked, chosen = ([[r[part] for r in run] for run in runs] for part in ("requests", "choice"))
    checker.require(asked[0] == asked[1], f"asks for other subsets {when}")
    checker.require(chosen[0] == chosen[1], f"chooses other blocks of equal losses {when}")


def run_plainly(searcher: Searcher) -> Plain:
    """Return requests and choices on the repeated problems, in another process."""
    return _repeated(Checker("searcher", searcher), searcher)


def _repeated(checker: Checker, searcher: Searcher) -> Plain:
    return [run(checker, searcher, case).as_plain() for case in REPEATED]


def _check_infinite(checker: Checker, case: Case, record: Record) -> None:
    """Require that a subset of infinite loss is not chosen while a better one is known."""
    losses, chosen = record.losses, record.removed
    finite = [s for s, x in losses.items() if len(s) == len(chosen) and math.isfinite(x)]
    checker.require(
        math.isfinite(losses.get(chosen, 0.0)) or not finite,
        f"chooses {words(chosen)}, whose reported loss is infinite, though it knows better "
        "ones: infinity is the worst loss",
    )
    fatal = {i for i in case.problem.removable if losses.get(frozenset({i})) == math.inf}
    others = len(case.problem.removable) - len(fatal)
    checker.require(
        not chosen & fatal or others < len(chosen),
        f"chooses {words(chosen & fatal)}, whose removal alone has an infinite reported loss, "
        "though enough other blocks can go: infinity is the worst loss",
    )


def _check_closes(checker: Checker, searcher: Searcher) -> None:
    """Check that an unfinished search can be closed, as Ctrl-C and dry runs do."""
    problem = PLAIN.problem
    signals = synthetic_signals(searcher, problem.n_blocks)
    steps = searcher.search(replace(problem, signals=signals))
    for request in itertools.islice(steps, 1):
        assert request
    try:
        steps.close()
    except RuntimeError as error:
        raise ContractError(
            f"{checker.who} goes on when it is closed, as Ctrl-C does; catch no bare or "
            "BaseException around `yield`"
        ) from error
