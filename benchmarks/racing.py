"""Race greedy rounds of a journal on draws of its samples, by prunekit's rule and by Wilcoxon's.

    prunekit search --searcher greedy --dtype float32 --ppl.samples 256 --workdir work
    python benchmarks/racing.py work/journals/DIGEST --samples 64

The second rule is that of Optuna's WilcoxonPruner: a candidate drops out if the signed-rank test of
its differences from the best, sample by sample, has a p-value below the threshold. Both look at
the same samples. A round is the candidates of one step on the greedy path of all samples of the
journal, up to the first that was not measured in full.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from scipy.stats import wilcoxon

from prunekit.core import DENSE, Best, Subset
from prunekit.core.measurement import Measurement, loss_of, mean_loss
from prunekit.core.problem import WHOLE
from prunekit.engine.cache import join
from prunekit.engine.journal import Journal
from prunekit.engine.race import Race
from prunekit.engine.reading import Difference
from prunekit.engine.statistics import difference_error

Known = Mapping[Subset, Measurement]
DEVIATIONS = (2.0, 2.5, 3.0, 3.5)
P_VALUES = (0.02, 0.01, 0.005, 0.00135)


class Drawn:
    """A session that has measured everything on some of the samples, in their order."""

    def __init__(self, known: Known, order: Sequence[int]) -> None:
        self.known = {subset: measured.of(order) for subset, measured in known.items()}
        self.n_samples = len(order)

    def evaluations(self, share: float) -> int:
        """Return the number of samples in that share of them."""
        return math.ceil(share * self.n_samples)

    def first(self, subset: Subset, share: float) -> Measurement:
        """Return what a subset has on the first samples."""
        return self.known[subset].of(range(self.evaluations(share)))

    def losses(self, subsets: Sequence[Subset], share: float = WHOLE) -> list[float]:
        """Return the losses of subsets."""
        return [loss_of(self.first(s, share), mean_loss) for s in subsets]

    def differences(
        self, subsets: Sequence[Subset], base: Subset, share: float
    ) -> list[Difference]:
        """Return their losses minus that of `base`, with standard errors."""
        of_base = self.first(base, share)
        below = loss_of(of_base, mean_loss)
        rows = [self.first(subset, share) for subset in subsets]
        return [
            Difference(loss_of(m, mean_loss) - below, difference_error(m, of_base, mean_loss))
            for m in rows
        ]


class WilcoxonRace(Race):
    """A race by the signed-rank test."""

    def _still(
        self, session: Drawn, left: Sequence[Subset], winners: int, share: float
    ) -> list[Subset]:
        losses = dict(zip(left, session.losses(left, share), strict=True))
        best = min(left, key=lambda s: (losses[s], sorted(s)))
        return [s for s in left if s == best or not self._is_behind(session, s, best, share)]

    def _is_behind(self, session: Drawn, subset: Subset, best: Subset, share: float) -> bool:
        rows = (session.first(s, share) for s in (subset, best))
        a, b = ([x / w for x, w in zip(m.sums, m.weights, strict=True)] for m in rows)
        gaps = [x - y for x, y in zip(a, b, strict=True)]
        return any(gaps) and wilcoxon(gaps, alternative="greater").pvalue < self.deviations


def read(folder: Path) -> tuple[Known, int]:
    """Return what a journal measured on all samples, and the number of blocks."""
    first = next(iter(sorted(folder.glob("*.jsonl"))))
    describes = json.loads(first.read_text().split("\n", 1)[0])["describes"]
    journal = Journal(folder, describes)
    samples = max(end for spans in journal.known.values() for _, end in spans)
    found = {subset: journal.recall(subset, samples) for subset in journal.known}
    known = {subset: join(parts) for subset, parts in found.items() if parts}
    return known, 1 + max(block for subset in known for block in subset)


def rounds(known: Known, n_blocks: int) -> Iterator[list[Subset]]:
    """Yield the candidates of each step that was measured in full."""
    removed = DENSE
    while True:
        grown = [removed | {i} for i in range(n_blocks) if i not in removed]
        if not all(subset in known for subset in grown):
            return
        yield grown
        removed = min(grown, key=lambda s: (loss_of(known[s], mean_loss), sorted(s)))


def report(name: str, races: Sequence[Race], steps: list[list[Subset]], draws: list[Drawn]) -> None:
    """Race all rounds of all draws; print how many draws chose alike, and what was measured."""
    alike, total, spared = 0, 0, 0
    for race, drawn in zip(races, draws, strict=True):
        same = True
        for step in steps:
            left = race.losses(drawn, Best(step, 1))
            losses = dict(zip(step, drawn.losses(step), strict=True))
            same &= min(step, key=losses.__getitem__) == min(left, key=left.__getitem__)
        alike += same
        total += race.raced().evaluations
        spared += race.raced().spared
    print(f"{name:20} {alike} of {len(draws)} draws alike, {1 - spared / total:.0%} measured")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("journal", type=Path)
    parser.add_argument("--samples", type=int, default=32, help="of each draw")
    parser.add_argument("--draws", type=int, default=50)
    words = parser.parse_args()
    known, n_blocks = read(words.journal)
    steps = list(rounds(known, n_blocks))
    pool = len(next(iter(known.values())).sums)
    rng = random.Random(1)
    of_steps = {subset: known[subset] for step in steps for subset in step}
    draws = [Drawn(of_steps, rng.sample(range(pool), words.samples)) for _ in range(words.draws)]
    print(f"rounds of {', '.join(str(len(s)) for s in steps)}; {words.samples} of {pool} samples")
    for deviations in DEVIATIONS:
        report(f"race {deviations:g}", [Race(deviations) for _ in draws], steps, draws)
    for p in P_VALUES:
        report(f"Wilcoxon p < {p:g}", [WilcoxonRace(p) for _ in draws], steps, draws)


if __name__ == "__main__":
    main()
