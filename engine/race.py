"""Race the candidates of a request: measure samples step by step, and drop what falls behind.

A searcher that asks for the `Best` few of its candidates needs no exact loss of the others. So all
are measured on the first samples, then those that can still win on the next, and so on; a race in
the sense of Maron and Moore (Hoeffding races, NeurIPS 1993), on differences paired by sample as in
F-Race (Birattari et al., GECCO 2002).

A race depends on what the samples measure alone, and looks at them in the same steps whatever the
journal knows. So a search that goes on, or is run again, chooses what it would have chosen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from prunekit.core.problem import WHOLE, Best, Subset
from prunekit.engine.session import Session

MOST_LOOKS = 8
FEWEST_SAMPLES = 4
"""From one look to the next."""


def shares_of_looks(n_samples: int) -> list[float]:
    """Return the shares of the samples after which a race looks who is behind; the last is all.

    >>> shares_of_looks(16), len(shares_of_looks(32)), shares_of_looks(7)
    ([0.25, 0.5, 0.75, 1.0], 8, [1.0])
    """
    looks = MOST_LOOKS
    while looks > 1 and n_samples < FEWEST_SAMPLES * looks:
        looks //= 2  # so that sets of several sizes are cut at the same shares
    return [i / looks for i in range(1, looks + 1)]


def ends_of_looks(n_samples: int) -> list[int]:
    """Return the numbers of samples up to each look, where batches have to end.

    >>> ends_of_looks(17)
    [5, 9, 13, 17]
    """
    return [math.ceil(share * n_samples) for share in shares_of_looks(n_samples)]


def threshold(deviations: float, n: int, of: int) -> float:
    """Return how many standard errors over n samples a candidate may be behind.

    What counts is who is ahead on all samples. The mean over n of them differs from that by the
    standard error times sqrt(1 - n / of), and as the error is itself estimated from few samples,
    Student's distribution with n - 1 degrees of freedom takes the place of the normal one.

    >>> [round(threshold(2.0, n, 64), 2) for n in (8, 32, 64)]
    [2.27, 1.47, 0.0]
    """
    from scipy.stats import norm, t

    quantile = float(t.isf(norm.sf(deviations), n - 1)) if n > 1 else math.inf
    return quantile * math.sqrt(1 - n / of) if n < of else 0.0


@dataclass(frozen=True)
class Raced:
    """What the races of a search spared."""

    deviations: float
    chance: float
    """that one look drops a candidate that would win in the end, if differences are normal"""
    looks: int
    """of each race at most, before all samples are measured"""
    spared: int
    """evaluations of a subset on a sample, of those that the races were asked for"""
    evaluations: int
    """without races"""


class Race:
    """Answers requests for the best few, and counts what that spares."""

    def __init__(self, deviations: float) -> None:
        self.deviations = deviations
        self._looks = self._spared = self._evaluations = 0

    def losses(self, session: Session, request: Best) -> dict[Subset, float]:
        """Return the losses of the candidates that were in the race to its end.

        At least as many as `winners` are, and those with the lowest losses are the winners.
        """
        left = list(dict.fromkeys(request))
        *looks, _ = shares_of_looks(session.n_samples)
        self._looks = max(self._looks, len(looks))
        self._evaluations += len(left) * session.evaluations(WHOLE)
        for share in looks:
            if len(left) > request.winners:
                still = self._still(session, left, request.winners, share)
                dropped = len(left) - len(still)
                left = still
                self._spared += dropped * (session.evaluations(WHOLE) - session.evaluations(share))
        return dict(zip(left, session.losses(left), strict=True))

    def _still(
        self, session: Session, left: Sequence[Subset], winners: int, share: float
    ) -> list[Subset]:
        """Return the candidates that are not too far behind the last of the current winners.

        One stays if the standard error of the difference is unknown, as without a finite loss.
        """
        losses = dict(zip(left, session.losses(left, share), strict=True))
        order = sorted(left, key=lambda s: (losses[s], sorted(s)))
        n = math.ceil(share * session.n_samples)
        most = threshold(self.deviations, n, session.n_samples)
        behind = session.differences(order[winners:], order[winners - 1], share)
        drop = {
            subset
            for subset, by in zip(order[winners:], behind, strict=True)
            if by.value is not None and by.standard_error is not None
            if by.value > most * by.standard_error
        }
        return [subset for subset in left if subset not in drop]

    def raced(self) -> Raced:
        """Return what was spared so far."""
        from scipy.stats import norm

        return Raced(
            self.deviations,
            float(norm.sf(self.deviations)),
            self._looks,
            self._spared,
            self._evaluations,
        )
