"""Planted faults of searchers: each is found, with a helpful message."""

import contextlib
import random
import threading
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from prunekit.core import DENSE, option
from prunekit.plugins.searchers.signals import GATE_GRADIENTS
from prunekit.testing import ContractError, check_searcher

KNOWN = {}


@dataclass(frozen=True)
class Sound:
    """Measure random subsets and keep the best."""

    name: ClassVar[str] = "sound"
    trials: int = option(12, "subsets to measure", low=1)

    def draws(self, problem):
        rng = problem.rng()
        return [
            frozenset(rng.sample(problem.removable, problem.budget)) for _ in range(self.trials)
        ]

    def search(self, problem):
        draws = self.draws(problem)
        losses = yield draws
        return self.best(losses, draws)

    def best(self, losses, draws):
        return min(zip(losses, map(sorted, draws), draws, strict=True))[2]


def test_a_sound_searcher_passes():
    check_searcher(Sound())


def test_a_slow_searcher_is_warned_of(monkeypatch):
    monkeypatch.setattr("prunekit.testing.searchers.SLOW", 0.0)
    with pytest.warns(UserWarning, match=r"sound.* took .* s for a search .* outside of measuring"):
        check_searcher(Sound())


class NoDocstring(Sound):
    name = "no-docstring"


class OneTooFew(Sound):
    """Returns too few blocks."""

    def best(self, losses, draws):
        return frozenset(sorted(draws[0])[1:])


class NothingAtAll(Sound):
    """Forgets to return."""

    def best(self, losses, draws):
        return None


class Lists(Sound):
    """Yields lists of blocks."""

    def draws(self, problem):
        return [list(problem.removable[: problem.budget])]


class NoGenerator(Sound):
    """Returns at once."""

    def search(self, problem):
        return self.draws(problem)[0]


class Protected(Sound):
    """Takes any block."""

    def draws(self, problem):
        rng = problem.rng()
        return [frozenset(rng.sample(range(problem.n_blocks), problem.budget)) for _ in range(12)]


class GlobalChance(Sound):
    """Draws from the random module."""

    def draws(self, problem):
        return [frozenset(random.sample(problem.removable, problem.budget)) for _ in range(12)]


class SeedsNumpy(Sound):
    """Seeds NumPy's global generator."""

    def draws(self, problem):
        np.random.seed(problem.seed)
        return [
            frozenset(np.random.permutation(problem.removable)[: problem.budget].tolist())
            for _ in range(12)
        ]


class OwnEntropy(Sound):
    """Draws from a generator that the system seeds."""

    def draws(self, problem):
        rng = random.Random()
        return [frozenset(rng.sample(problem.removable, problem.budget)) for _ in range(12)]


class Hurried(Sound):
    """Stops after ten seconds."""

    def search(self, problem):
        end, seen = time.monotonic() + 10, {}
        for draw in self.draws(problem):
            if time.monotonic() > end:
                break
            seen[draw] = (yield [draw])[0]
        return min(seen, key=lambda s: (seen[s], sorted(s)), default=draw)


class TiesByChance(Sound):
    """Of equal losses takes any, from a generator that the system seeds."""

    def best(self, losses, draws):
        pairs = zip(draws, losses, strict=True)
        return random.Random().choice([s for s, loss in pairs if loss == min(losses)])


class Remembers(Sound):
    """Passes over what an earlier search has measured."""

    def draws(self, problem):
        new = [s for s in super().draws(problem) if (problem.n_blocks, s) not in KNOWN]
        KNOWN.update({(problem.n_blocks, s): None for s in new})
        return new or super().draws(problem)[:1]


class Grows(Sound):
    """Raises its own number of trials."""

    def draws(self, problem):
        object.__setattr__(self, "trials", self.trials + 1)
        return super().draws(problem)


class ByLoss(Sound):
    """Keeps blocks by their loss, so that of equal ones only one is left."""

    def search(self, problem):
        singles = [frozenset({i}) for i in problem.removable]
        by_loss = dict(zip((yield singles), singles, strict=True))
        ranked = [by_loss[loss] for loss in sorted(by_loss)]
        return DENSE.union(*ranked[: problem.budget])


class ComparesDicts(Sound):
    """Sorts pairs of a loss and a dictionary."""

    def search(self, problem):
        draws = self.draws(problem)
        notes = [{"subset": draw} for draw in draws]
        return min(zip((yield draws), notes, strict=True))[1]["subset"]


class LovesInfinity(Sound):
    """Takes infinity for the best."""

    def best(self, losses, draws):
        return super().best([0.0 if x > 1e9 else x for x in losses], draws)


class LovesFatalBlocks(Sound):
    """The same, block by block."""

    def search(self, problem):
        losses = yield [frozenset({i}) for i in problem.removable]
        singles = dict(zip(problem.removable, losses, strict=True))
        order = sorted(singles, key=lambda i: (-1.0 if singles[i] > 1e9 else singles[i], i))
        return frozenset(order[: problem.budget])


class Logarithms(Sound):
    """Takes logarithms of losses, which may be negative."""

    def best(self, losses, draws):
        import math

        return super().best([math.log(loss) for loss in losses], draws)


class FitsInfinity(Sound):
    """Fits a line through losses, of which some are infinite."""

    def best(self, losses, draws):
        import math

        mean = int(sum(losses) / len(losses)) if math.isfinite(losses[0]) else int(losses[0])
        return super().best([x - mean for x in losses], draws)


class Endless(Sound):
    """Asks on and on."""

    def search(self, problem):
        while True:
            yield self.draws(problem) * 100


class Unstoppable(Sound):
    """Catches everything, even that it is closed."""

    def search(self, problem):
        seen = {}
        for draw in self.draws(problem):
            with contextlib.suppress(BaseException):
                seen[draw] = (yield [draw])[0]
        return min(seen, key=lambda s: (seen[s], sorted(s)))


class EmptyRequest(Sound):
    """Asks for nothing."""

    def draws(self, problem):
        return []


class Signals(Sound):
    """Reads a signal that it did not ask for."""

    def draws(self, problem):
        assert problem.signals["block_similarity"]
        return super().draws(problem)


class NoSuchSignal(Sound):
    """Names a signal instead of bringing it."""

    needs = ("gate_gradient",)


class OneSignal(Sound):
    """Forgets that a tuple of one signal has a comma."""

    needs = GATE_GRADIENTS


class ChangesSignals(Sound):
    """Sets a number in a signal."""

    needs = (GATE_GRADIENTS,)

    def draws(self, problem):
        problem.signals["gate_gradients"][0][0] = 0.0
        return super().draws(problem)


class Prints(Sound):
    """Says how far it is."""

    def best(self, losses, draws):
        print("halfway there")
        return super().best(losses, draws)


class Exits(Sound):
    """Leaves the program."""

    def best(self, losses, draws):
        raise SystemExit(0)


@dataclass(frozen=True)
class WildDefault(Sound):
    """Has a default outside its own range."""

    width: int = option(0, "how wide", low=1)


@dataclass(frozen=True)
class NoHelp(Sound):
    """Has an option of which nothing is said."""

    width: int = 3


@dataclass(frozen=True)
class HoldsALock(Sound):
    """Keeps a lock."""

    def __post_init__(self):
        object.__setattr__(self, "lock", threading.Lock())


FAULTS = [
    (NoDocstring, "needs a docstring"),
    (OneTooFew, r"returned \d,\d \(2 blocks\), but the budget is 3"),
    (NothingAtAll, "must give subsets as frozensets of int, not None"),
    (Lists, "must give subsets as frozensets of int"),
    (NoGenerator, "`search` must be a generator"),
    (
        Protected,
        "may not remove blocks .*with protected blocks: 9 blocks, budget 3, protected 0,1,8",
    ),
    (GlobalChance, "draws from the global generator of random"),
    (SeedsNumpy, "global generator of numpy.random, or seeds it.*problem.rng"),
    (OwnEntropy, "other subsets when the same search is run again"),
    (TiesByChance, "chooses other blocks of equal losses when the same search is run again"),
    (Hurried, "when the clock runs faster: bound a search by subsets"),
    (Remembers, "other subsets when the same search is run again.*remember nothing"),
    (Grows, "changes itself while it works"),
    (ByLoss, "with losses that are all equal"),
    (ComparesDicts, "of equal losses take the first subset in order"),
    (LovesInfinity, "whose reported loss is infinite"),
    (LovesFatalBlocks, "whose removal alone has an infinite reported loss"),
    (Logarithms, "ValueError: math domain error"),
    (FitsInfinity, "OverflowError.*with blocks that are fatal|with losses that are all infinite"),
    (Endless, "does not end"),
    (Unstoppable, "goes on when it is closed"),
    (EmptyRequest, "must yield a list of at least one subset"),
    (Signals, "reads the signal 'block_similarity', which its `needs` does not name"),
    (NoSuchSignal, "`needs` must be a tuple of Signal objects, not"),
    (OneSignal, "`needs` must be a tuple of Signal objects, not"),
    (ChangesSignals, "changes the signals"),
    (Prints, "standard output, where prunekit prints results: 'halfway there'; use logging"),
    (Exits, "SystemExit"),
    (WildDefault, "a default that it would not take from a user: width: 0 is outside 1.."),
    (NoHelp, "needs a help text for `width`"),
    (HoldsALock, "cannot be copied"),
]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("faulty", "message"), FAULTS, ids=[f.__name__ for f, _ in FAULTS])
def test_a_planted_fault_is_found(faulty, message, monkeypatch):
    # Another process takes seconds to start, and has tests of its own.
    monkeypatch.setattr("prunekit.testing.searchers.elsewhere", lambda *args: None)
    with pytest.raises(ContractError, match=f"(?s)searcher '.*{message}"):
        check_searcher(faulty())


def test_an_instance_is_asked_for():
    with pytest.raises(ContractError, match=r"give check_searcher an instance, `Sound\(\)`"):
        check_searcher(Sound)
