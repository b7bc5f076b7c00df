"""Rank the searchers by perplexity and by accuracy, and correlate the two."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.measures import Condition, points
from prunekit.plugins.commands.report.telling import choices

ORDERS = 9999
"""Random orders if there are more than that: the p-value is exact up to 7 searchers."""


@dataclass(frozen=True)
class RankComparison:
    """Searchers in one condition, ranked twice; 1 is best, and ties share their mean rank."""

    searchers: tuple[str, ...]
    perplexity: tuple[float, ...]
    accuracy: tuple[float, ...]
    distinct: int
    """how many of them chose otherwise than all before them"""
    rho: float | None
    """Spearman's over distinct choices, None if these are fewer than three or all tie"""
    p: float | None
    """the share of orders that correlate as strongly, in either direction"""


def compare_ranks(study: Study, condition: Condition) -> RankComparison | None:
    """Rank the searchers that have both numbers; None if these are fewer than three.

    Searchers that chose the same subsets count once in rho and p: they are one witness.
    """
    from scipy.stats import rankdata

    perplexity, accuracy = (
        points(study, name, **condition._asdict())["mean"] for name in ("perplexity", "accuracy")
    )
    searchers = [s for s in perplexity.index if s in accuracy.index]
    if len(searchers) < 3:
        return None
    chosen = choices(study, condition)
    first = [s for i, s in enumerate(searchers) if chosen[s] not in map(chosen.get, searchers[:i])]
    rho = spearman(perplexity[first], -accuracy[first]) if len(first) > 2 else None
    return RankComparison(
        tuple(searchers),
        tuple(rankdata(perplexity[searchers]).tolist()),
        tuple(rankdata(-accuracy[searchers]).tolist()),
        len(first),
        rho,
        None if rho is None else p_value(perplexity[first], -accuracy[first]),
    )


def spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Spearman's rho, None if one of the two is constant or has fewer than two values."""
    from scipy.stats import spearmanr

    if len(set(a)) < 2 or len(set(b)) < 2:
        return None
    return float(spearmanr(a, b).statistic)


def p_value(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the share of all orders of `a` whose correlation with `b` is at least as strong.

    >>> p_value([1, 2, 3], [1, 2, 3])  # 123 and 321, of six orders
    0.3333333333333333
    """
    import numpy as np
    from scipy.stats import rankdata

    x, y = (rankdata(values) - (len(a) + 1) / 2 for values in (a, b))
    if math.factorial(len(a)) <= ORDERS:
        orders = np.array(list(itertools.permutations(x)))
    else:
        rng = np.random.default_rng(0)
        orders = np.vstack([x, rng.permuted(np.tile(x, (ORDERS - 1, 1)), axis=1)])
    strong = np.abs(orders @ y) >= abs(x @ y) * (1 - 1e-9)
    return float(strong.mean())
