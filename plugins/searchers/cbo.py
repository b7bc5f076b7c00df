"""Constrained binary optimisation of a quadratic model of the loss.

After Jansen et al. (arXiv 2602.00161), from their published formulae only: the loss is expanded to
second order in gates on the blocks, and the removal that costs least in that model is found
exactly. The authors state that a patent is pending; check whether that concerns your use.
`hessian = fisher` is their own. That arXiv 2604.24938 measured pairs of removals is our reading of
its timings; the guard against fatal blocks and measuring the lowest states are ours too.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from prunekit.core import (
    DENSE,
    Problem,
    Search,
    Searcher,
    Signal,
    Subset,
    hookimpl,
    option,
)
from prunekit.plugins.searchers.finite import FiniteLosses
from prunekit.plugins.searchers.quadratic import lowest
from prunekit.plugins.searchers.signals import GATE_GRADIENTS, GATE_HESSIAN
from prunekit.plugins.searchers.singles import cheapest_first

if TYPE_CHECKING:
    from prunekit.plugins.searchers.quadratic import Matrix

FATAL_DEVIATIONS = 5.0


@dataclass(frozen=True)
class ConstrainedBinary(Searcher):
    """Minimise a quadratic model of the loss, made of single and pairwise effects.

    With `hessian = pairwise` requests n + n (n - 1) / 2 subsets of n removable blocks, with
    `fisher` and `exact` n; then the lowest states of the model and the one-shot choice, of which it
    returns the best, so it never ends worse than one-shot. Up to 10^10 states are enumerated;
    beyond that, tabu search is used.
    """

    name: ClassVar[str] = "cbo"
    paper: ClassVar[str] = "arXiv 2602.00161"
    hessian: Literal["pairwise", "fisher", "exact"] = option(
        "pairwise", "measured pairs, squared gate gradients (the paper's), or second derivatives"
    )
    first_order: float = option(0.0, "weight of the linear term of fisher and exact", low=0)
    rerank: int = option(
        20, "lowest states to measure; 0 returns the lowest without measuring", low=0
    )
    fatal_filter: bool = option(True, "exclude blocks whose removal alone costs far more")
    clip_couplings: bool = option(False, "bound the saving of removing two blocks together")

    @property
    def needs(self) -> tuple[Signal, ...]:
        """Return the derivatives that `fisher` and `exact` use."""
        if self.hessian == "pairwise":
            return ()
        if self.hessian == "fisher":
            return (GATE_GRADIENTS,)
        return (GATE_HESSIAN, GATE_GRADIENTS) if self.first_order else (GATE_HESSIAN,)

    def search(self, problem: Problem) -> Search:
        """Build the model, find its lowest states, measure them and return the best."""
        losses = yield from self._measure(problem)
        singles = {i: losses[frozenset({i})] for i in problem.removable}
        candidates = self._candidates(singles, problem.budget)
        q = self._model(problem, losses)[candidates][:, candidates]
        states = lowest(q, problem.budget, max(1, self.rerank), problem.seed)
        found = [frozenset(candidates[i] for i in state) for state in states]
        if not self.rerank:
            return found[0]
        one_shot = frozenset(cheapest_first(singles)[: problem.budget])
        request = [*found, one_shot]
        true = yield request
        return min(zip(true, map(sorted, request), request, strict=True))[2]

    def _measure(
        self, problem: Problem
    ) -> Generator[Sequence[Subset], list[float], dict[Subset, float]]:
        request = [frozenset({i}) for i in problem.removable]
        if self.hessian == "pairwise":
            request += map(frozenset, itertools.combinations(problem.removable, 2))
            request += [DENSE] if self.clip_couplings else []
        return dict(zip(request, (yield request), strict=True))

    def _candidates(self, singles: Mapping[int, float], budget: int) -> list[int]:
        """Return the blocks that are not fatal, but never fewer than the budget."""
        order = cheapest_first(singles)
        if not self.fatal_filter:
            return sorted(order)
        limit = _limit([loss for loss in singles.values() if math.isfinite(loss)])
        return sorted(order[: max(budget, sum(singles[i] <= limit for i in order))])

    def _model(self, problem: Problem, losses: Mapping[Subset, float]) -> Matrix:
        """Return the symmetric matrix whose sum over S x S is the modelled cost of removing S."""
        import numpy as np

        if self.hessian == "pairwise":
            return self._pairwise(problem, losses)
        if self.hessian == "exact":
            # L(1 - x) = L(1) - g x + x H x / 2
            q = np.array(problem.signals["gate_hessian"]) / 2
        else:
            gradients = np.array(problem.signals["gate_gradients"])
            q = gradients.T @ gradients / len(gradients)
        if self.first_order:
            slope = np.array(problem.signals["gate_gradients"]).mean(0)
            q = q - self.first_order * np.diag(slope)
        return q

    def _pairwise(self, problem: Problem, losses: Mapping[Subset, float]) -> Matrix:
        """Return fields h(i) = L(i) - L(0) and couplings J(i, j) = L(i, j) - L(i) - L(j) + L(0).

        L(0) shifts the energies of all subsets of one size equally, so it is only requested for
        clipping couplings.
        """
        import numpy as np

        finite = dict(zip(losses, FiniteLosses()(list(losses.values())), strict=True))
        dense = finite.get(DENSE, 0.0)
        q = np.zeros((problem.n_blocks, problem.n_blocks))
        for i in problem.removable:
            q[i, i] = finite[frozenset({i})] - dense
        for i, j in itertools.combinations(problem.removable, 2):
            coupling = finite[frozenset({i, j})] - dense - q[i, i] - q[j, j]
            if self.clip_couplings and problem.budget > 1:
                most = max(0.0, min(q[i, i], q[j, j])) / (problem.budget - 1)
                coupling = max(coupling, -most)
            q[i, j] = q[j, i] = coupling / 2
        return q


def _limit(losses: Sequence[float]) -> float:
    """Return the median plus five median absolute deviations; infinite without any spread."""
    if not losses:
        return math.inf
    median = statistics.median(losses)
    deviation = statistics.median(abs(loss - median) for loss in losses)
    return median + FATAL_DEVIATIONS * deviation if deviation else math.inf


@hookimpl
def prunekit_searchers() -> list[type]:
    return [ConstrainedBinary]
