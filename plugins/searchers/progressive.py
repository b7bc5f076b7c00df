"""Search on more and more of the calibration set, until the choice holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import Part, Problem, Search, Searcher, Signal, Subset, hookimpl, option
from prunekit.plugins.searchers.starts import Start, searcher_of


@dataclass(frozen=True)
class Progressive(Searcher):
    """Run another searcher on twice the samples again and again, until its choice holds.

    Begins with a share of the calibration set, so give it as many samples as you can afford; only
    as many are used as two choices in a row need to agree. What a stage measured is not measured
    again by the next. Returns the best of the stages' choices, by their losses on all samples.
    """

    name: ClassVar[str] = "progressive"
    searcher: Start = option("greedy", "searcher to run on each share of the samples")
    first: float = option(0.125, "share of the samples of the first stage", low=0.001, high=1.0)
    agreement: float = option(
        0.8, "share of the blocks that two stages in a row must choose alike", low=0.0, high=1.0
    )

    @property
    def needs(self) -> tuple[Signal, ...]:
        """Return the signals of that searcher."""
        return searcher_of(self.searcher).needs

    def search(self, problem: Problem) -> Search:
        """Double the share until two choices agree or all samples are used."""
        share = self.first
        choices = [(yield from self._stage(problem, share))]
        while share < 1.0:
            share = min(1.0, 2 * share)
            choices.append((yield from self._stage(problem, share)))
            if len(choices[-1] & choices[-2]) >= self.agreement * problem.budget:
                break
        found = list(dict.fromkeys(choices))
        losses = yield found
        return min(zip(losses, map(sorted, found), found, strict=True))[-1]

    def _stage(self, problem: Problem, share: float) -> Search:
        """Run the searcher to its end, on a share of what it asks for."""
        steps = searcher_of(self.searcher).search(problem)
        losses = None
        while True:
            try:
                request = next(steps) if losses is None else steps.send(losses)
            except StopIteration as stop:
                chosen: Subset = stop.value
                return chosen
            of_request = request.share if isinstance(request, Part) else 1.0
            losses = yield Part(request, share * of_request)


@hookimpl
def prunekit_searchers() -> list[type]:
    return [Progressive]
