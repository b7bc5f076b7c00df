"""Optuna's samplers as searchers: each trial is one number for every removable block."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from prunekit.core import Problem, Search, Subset, hookimpl, option
from prunekit.plugins.searchers.prior import Prior
from prunekit.plugins.searchers.singles import cheapest_first, single_losses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.samplers import BaseSampler


@dataclass(frozen=True)
class AskTell(ABC):
    """The base of both searchers: ask for trials, measure them, report their losses."""

    trials: int = option(100, "subsets of the wanted size to measure", low=1)
    prior: float = option(0.1, "weight of the prior beside the sampler's numbers", low=0)
    at_once: int = option(4, "trials measured together, which shares their blocks", low=1)

    def search(self, problem: Problem) -> Search:
        """Begin with the one-shot choice and return the best trial, so never end worse."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        singles = yield from single_losses(problem)
        prior = Prior.from_singles(singles)
        one_shot = cheapest_first(singles)[: problem.budget]
        study = optuna.create_study(sampler=self._sampler(problem.seed))
        study.enqueue_trial({str(i): float(i in one_shot) for i in problem.removable})
        number = optuna.distributions.FloatDistribution(0.0, 1.0)
        space: dict[str, optuna.distributions.BaseDistribution]
        space = {str(block): number for block in problem.removable}
        losses: dict[Subset, float] = {}
        for left in range(self.trials, 0, -self.at_once):
            trials = [study.ask(space) for _ in range(min(left, self.at_once))]
            subsets = [self._subset(trial.params, prior, problem.budget) for trial in trials]
            answers = yield subsets
            losses.update(zip(subsets, answers, strict=True))
            for trial, loss in zip(trials, answers, strict=True):
                study.tell(trial, loss)
        return min(losses, key=lambda subset: (losses[subset], sorted(subset)))

    def _subset(self, numbers: Mapping[str, float], prior: Prior, budget: int) -> Subset:
        """Return the blocks with the largest sums of number and weighted log-prior."""
        score = {
            block: numbers[str(block)] + self.prior * math.log(weight)
            for block, weight in prior.weights.items()
        }
        return frozenset(sorted(score, key=lambda block: (-score[block], block))[:budget])

    @abstractmethod
    def _sampler(self, seed: int) -> BaseSampler:
        """Return the sampler of Optuna, seeded with `seed`."""


@dataclass(frozen=True)
class ParzenEstimator(AskTell):
    """Optuna's tree-structured Parzen estimator over one number for every block.

    Asks for n + `trials` subsets of n removable blocks, repeats included.
    """

    name: ClassVar[str] = "optuna-tpe"
    paper: ClassVar[str] = "arXiv 2304.11127"

    def _sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import TPESampler

        return TPESampler(seed=seed)


@dataclass(frozen=True)
class CovarianceAdaptation(AskTell):
    """Optuna's covariance matrix adaptation over one number for every block.

    Asks for n + `trials` subsets of n removable blocks, repeats included.
    """

    name: ClassVar[str] = "optuna-cmaes"
    paper: ClassVar[str] = "arXiv 1604.00772"

    def _sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import CmaEsSampler

        return CmaEsSampler(seed=seed)


@hookimpl
def prunekit_searchers() -> list[type]:
    """Return the plugins of this distribution."""
    return [ParzenEstimator, CovarianceAdaptation]
