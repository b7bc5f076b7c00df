"""Estimate how much of a choice another draw of the calibration set would repeat.

No model is run: the search is repeated on random halves of the samples, from the losses of each
sample that the journal holds. Two halves are independent draws, but of half the size; how much less
quarters agree shows how much more whole sets do.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunekit.core.driver import Driver
from prunekit.core.problem import Subset
from prunekit.engine.stored import check_counts

if TYPE_CHECKING:
    from prunekit.engine.session import Session

HALVES, QUARTERS = 2, 4
MOST_REPEATS, FEWEST_REPEATS = 40, 3
ENOUGH_ANSWERS = 4000
"""Losses to return to repeated searches, in halves and in quarters each."""
ENOUGH_ROUNDS = 400
"""Requests to answer likewise: a searcher that fits a model before each takes long."""
MOST_ROUNDS = 100
"""A search with more requests, as of one subset each, is not repeated: that may take minutes."""
RATIO = 2**-0.5
"""Disagreement with twice the samples over that before, if noise alone decides: its spread falls
with the root of the number of samples."""
STABLE = 0.8
MOST_TIMES = 64


@dataclass(frozen=True)
class Stability:
    """How much of a choice another calibration draw of the same size would repeat."""

    agreement: float
    """the share of the chosen blocks that two draws are expected to have in common"""
    repeats: int
    """how often the samples were split"""
    times: int | None
    """how many times the samples would bring it to STABLE; None if it is there, or never will be"""


def check_stability(row: Mapping[str, Any]) -> None:
    """Raise ValueError unless the numbers in a file can be those of a Stability."""
    check_counts(row, "agreement", "repeats", "times", name="stability")
    if row["agreement"] > 1:
        raise ValueError(f"stability.agreement cannot be {row['agreement']!r}")


def stability(driver: Driver, session: Session) -> Stability | None:
    """Repeat a search that ended on random parts of the calibration set.

    Losses of subsets that it did not measure are estimated from those that it did, block by block.
    In place of a search of more than MOST_ROUNDS requests, the best subset that it measured is
    taken, which promises too much where it measured similar ones only. The same losses give the
    same result. Returns None if there are too few samples, and for a searcher that asks for no
    losses, as its choice does not rest on them.
    """
    known = [s for s, loss in driver.losses.items() if math.isfinite(loss)]
    if session.n_samples < QUARTERS or len(known) < 2:
        return None
    again = _Repeats(driver, session, known)
    enough = min(ENOUGH_ANSWERS // driver.asked, ENOUGH_ROUNDS // driver.rounds)
    repeats = max(FEWEST_REPEATS, min(MOST_REPEATS, enough))
    of_halves = _mean([again.agreement(HALVES, seed) for seed in range(repeats)])
    of_quarters = _mean([again.agreement(QUARTERS, seed) for seed in range(repeats)])
    return _extrapolated(of_halves, of_quarters, repeats)


def _mean(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers)


def _extrapolated(of_halves: float, of_quarters: float, repeats: int) -> Stability:
    """Return the agreement of whole sets: the disagreement falls on as it fell before."""
    differing, before = 1 - of_halves, 1 - of_quarters
    ratio = min(1.0, max(0.5, differing / before)) if before else RATIO
    agreement = 1 - differing * ratio
    return Stability(agreement, repeats, _times_for(agreement, ratio))


def _times_for(agreement: float, ratio: float) -> int | None:
    """Return the power of two times the samples at which the agreement reaches STABLE."""
    times = 1
    while agreement < STABLE and times < MOST_TIMES:
        agreement, times = 1 - (1 - agreement) * ratio, 2 * times
    return times if times > 1 and agreement >= STABLE else None


class _Repeats:
    """A search that is repeated on parts of the samples."""

    def __init__(self, driver: Driver, session: Session, known: Sequence[Subset]) -> None:
        import numpy as np

        self.driver = driver
        self.session = session
        self.known = known
        columns = range(driver.problem.n_blocks)
        design = np.array([[1.0, *(float(i in s) for i in columns)] for s in known])
        ridge = 1e-3 * np.eye(design.shape[1])
        self._solve = np.linalg.solve(design.T @ design + ridge, design.T)

    def agreement(self, parts: int, seed: int) -> float:
        """Return the share of chosen blocks that the first two of several parts have in common."""
        losses = self.session.losses_of_split(self.known, parts, seed)
        one, other = (self._choice([of_parts[i] for of_parts in losses]) for i in range(2))
        return len(one & other) / len(one)

    def _choice(self, losses: Sequence[float]) -> Subset:
        if self.driver.rounds > MOST_ROUNDS:
            return self._best(losses)
        answer = self._answers(dict(zip(self.known, losses, strict=True)))
        searcher = copy.deepcopy(self.driver.searcher)
        again = Driver(searcher, self.driver.problem)
        again.run(lambda subsets: [answer(subset) for subset in subsets])
        assert again.removed is not None
        return again.removed

    def _best(self, losses: Sequence[float]) -> Subset:
        """Return the best measured subset of the budget's size."""
        size = self.driver.problem.budget
        pairs = zip(losses, self.known, strict=True)
        return min((x, sorted(subset), subset) for x, subset in pairs if len(subset) == size)[-1]

    def _answers(self, losses: dict[Subset, float]) -> Callable[[Subset], float]:
        """Return a function that knows losses, and adds up the others block by block."""
        import numpy as np

        values = np.array([losses[subset] for subset in self.known])
        base, *prices = (self._solve @ values).tolist()
        return lambda s: losses[s] if s in losses else base + sum(prices[i] for i in sorted(s))
