"""Does a whole greedy search choose the same with a race? Many draws out of one pool of samples.

    python benchmarks/racing_searches.py MODEL --text TEXT.jsonl [--pool 96] [--samples 32]
        [--length 64] [--draws 50] [--budget 4] [--workdir racing]

Every draw takes some of the pool's samples, and searches on them with each race and without. What
any draw asks for is measured on the whole pool, step by step for all draws together, and kept in a
journal: a run that is stopped goes on where it was. Draws overlap, the more the smaller the pool.
"""

from __future__ import annotations

import argparse
import random
import warnings
from collections.abc import Sequence
from pathlib import Path

from racing import DEVIATIONS, Drawn

from prunekit.core import DENSE, Best, Subset
from prunekit.core.measurement import Measurement
from prunekit.core.registry import load
from prunekit.engine.config import parse
from prunekit.engine.opening import open_session
from prunekit.engine.plan import Plan, resolve
from prunekit.engine.quiet import quiet_libraries
from prunekit.engine.race import Race
from prunekit.engine.single_session import SingleSession

EXACT = 0.0


class Search:
    """A greedy search on a draw, which asks for its candidates step by step."""

    def __init__(self, deviations: float) -> None:
        self.race = Race(deviations)
        self.removed: Subset = DENSE

    def candidates(self, n_blocks: int) -> list[Subset]:
        """Return the subsets with one block more."""
        return [self.removed | {i} for i in range(n_blocks) if i not in self.removed]

    def step(self, drawn: Drawn, candidates: Sequence[Subset]) -> None:
        """Take the best of them."""
        if self.race.deviations == EXACT:
            losses = dict(zip(candidates, drawn.losses(candidates), strict=True))
        else:
            losses = self.race.losses(drawn, Best(candidates, 1))
        self.removed = min(losses, key=lambda s: (losses[s], sorted(s)))


def main() -> None:
    quiet_libraries()
    warnings.simplefilter("ignore")
    given = arguments()
    rng = random.Random(1)
    draws = [rng.sample(range(given.pool), given.samples) for _ in range(given.draws)]
    searches = [{d: Search(d) for d in (EXACT, *DEVIATIONS)} for _ in draws]
    with open_session(plan_of(given), given.workdir) as session:
        assert isinstance(session, SingleSession)
        for _ in range(given.budget):
            step_all(session, searches, draws)
    report(searches)


def step_all(
    session: SingleSession, searches: list[dict[float, Search]], draws: list[list[int]]
) -> None:
    """Let all searches of all draws remove one block more."""
    n_blocks = session.facts.n_blocks
    wanted = {s for draw in searches for x in draw.values() for s in x.candidates(n_blocks)}
    order = sorted(wanted, key=sorted)
    known: dict[Subset, Measurement] = dict(zip(order, session.cache.measure(order), strict=True))
    print(f"{len(order)} subsets measured", flush=True)
    for of_draw, samples in zip(searches, draws, strict=True):
        for search in of_draw.values():
            candidates = search.candidates(n_blocks)
            search.step(Drawn({s: known[s] for s in candidates}, samples), candidates)


def report(searches: list[dict[float, Search]]) -> None:
    """Print in how many draws each race chose alike, and how much it measured."""
    distinct = len({draw[EXACT].removed for draw in searches})
    print(f"{len(searches)} draws, {distinct} different choices without a race")
    for deviations in DEVIATIONS:
        alike = sum(draw[deviations].removed == draw[EXACT].removed for draw in searches)
        raced = [draw[deviations].race.raced() for draw in searches]
        share = 1 - sum(r.spared for r in raced) / sum(r.evaluations for r in raced)
        print(f"race {deviations:g}: {alike} of {len(searches)} alike, {share:.0%} measured")


def plan_of(given: argparse.Namespace) -> Plan:
    options = {"data": given.text, "samples": given.pool, "length": given.length}
    registry = load()
    words = {"model": given.model, "searcher": "greedy", "budget": given.budget}
    words["state_memory"] = given.state_memory
    return resolve(parse({**words, "objective": "ppl", "ppl": options}, registry), registry)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--text", required=True)
    parser.add_argument("--pool", type=int, default=96, help="samples to draw from")
    parser.add_argument("--samples", type=int, default=32, help="of each draw")
    parser.add_argument("--length", type=int, default=64, help="tokens of each")
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--budget", type=int, default=4)
    parser.add_argument("--state-memory", default="2GB", help="of states kept between steps")
    parser.add_argument("--workdir", type=Path, default=Path("racing"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
