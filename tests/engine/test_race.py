"""A race finds the best few of a request on fewer samples."""

import math
import random

import numpy as np
import pytest

from prunekit.core import Best, ModelFacts, Objective, Piece
from prunekit.core.batch import Batch
from prunekit.engine.cache import MeasurementCache
from prunekit.engine.journal import Journal
from prunekit.engine.race import Race, ends_of_looks, shares_of_looks, threshold
from prunekit.engine.session import MixedSession
from prunekit.engine.single_session import SingleSession

N = 32
KEY = {"weights": "toy", "calibration": "toy"}
SINGLES = [frozenset({i}) for i in range(12)]
GAP = 0.05
"""Between one single removal and the next, in units of what differs by sample."""


def values(subset, noise=0.1):
    """Sums and weights of all samples: harder samples, and chance for each pair of both."""
    level = GAP * sum(subset)
    rows = []
    for sample in range(N):
        rng = random.Random(f"{sorted(subset)} {sample}")
        weight = 1.0 + sample % 3
        rows.append((weight * (2 + sample % 5 + level + rng.gauss(0, noise)), weight))
    return [s for s, _ in rows], [w for _, w in rows]


class NoisyMeter:
    """Measures `values` in batches that end where a race looks, counting what it is asked."""

    def __init__(self, values=values):
        self.facts = ModelFacts(12, 1200, (100,) * 12, {"weights": "toy"})
        self.values = values
        self.log = []

    def measure(self, wanted):
        spans = list(zip([0, *ends_of_looks(N)], ends_of_looks(N), strict=False))
        for batch, subsets in enumerate(wanted):
            first, last = spans[batch]
            for subset in subsets:
                self.log += [(subset, sample) for sample in range(first, last)]
                sums, weights = self.values(subset)
                yield Piece(subset, batch, tuple(sums[first:last]), tuple(weights[first:last]))


class Mean(Objective):
    name = "mean"
    calibration_set = measure = None


class Exponential(Mean):
    """A loss that is no mean."""

    def reduce(self, sums, weights):
        return math.exp(math.fsum(sums) / math.fsum(weights))


@pytest.fixture
def opened(tmp_path):
    """`opened(meter)`: a session over the journal of this test."""

    def open_session(meter=None, objective=Mean, folder="journal"):
        ends = ends_of_looks(N)
        sizes = [b - a for a, b in zip([0, *ends], ends, strict=False)]
        batches = [Batch(None, None, None, None, size) for size in sizes]
        meter = meter or NoisyMeter()
        journal = Journal(tmp_path / folder, KEY)
        return SingleSession(
            objective.__new__(objective), meter, MeasurementCache(meter, batches, journal)
        )

    return open_session


def best(losses, winners):
    return sorted(losses, key=lambda s: (losses[s], sorted(s)))[:winners]


def by_hand(winners, deviations, reduce):
    """The number of samples that each candidate is measured on, without any of prunekit."""
    data = {s: tuple(map(np.array, values(s))) for s in SINGLES}
    left, seen = list(SINGLES), {}
    for n in range(4, N, 4):
        losses = {s: reduce(data[s][0][:n], data[s][1][:n]) for s in left}
        order = sorted(left, key=losses.get)
        last = order[winners - 1]
        for s in order[winners:]:
            without = np.array([difference(data[s], data[last], n, i, reduce) for i in range(n)])
            error = math.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
            if losses[s] - losses[last] > threshold(deviations, n, N) * error:
                seen[s] = n
        left = [s for s in left if s not in seen]
        if len(left) == winners:
            break
    return {s: seen.get(s, N) for s in SINGLES}


def difference(a, b, n, i, reduce):
    rest = [j for j in range(n) if j != i]
    return reduce(a[0][rest], a[1][rest]) - reduce(b[0][rest], b[1][rest])


@pytest.mark.parametrize("winners", [1, 4])
@pytest.mark.parametrize(
    ("objective", "reduce"),
    [
        (Mean, lambda sums, weights: sums.sum() / weights.sum()),
        (Exponential, lambda sums, weights: math.exp(sums.sum() / weights.sum())),
    ],
)
def test_a_candidate_drops_out_at_the_look_that_brute_force_finds(
    opened, objective, reduce, winners
):
    meter = NoisyMeter()
    Race(2.0).losses(opened(meter, objective), Best(SINGLES, winners))
    expected = by_hand(winners, 2.0, reduce)
    assert {s: sum(subset == s for subset, _ in meter.log) for s in SINGLES} == expected
    assert min(expected.values()) < N


@pytest.mark.parametrize("winners", [1, 3, 12, 20])
def test_the_winners_are_those_of_all_samples_with_their_losses(opened, winners):
    losses = dict(zip(SINGLES, opened(folder="whole").losses(SINGLES), strict=True))
    left = Race(3.0).losses(opened(), Best(SINGLES, winners))
    assert best(left, winners) == best(losses, winners)
    assert left.items() <= losses.items()
    assert len(left) == len(SINGLES) if winners >= len(SINGLES) else len(left) < len(SINGLES)


def test_what_was_spared_is_what_was_not_measured(opened):
    meter, race = NoisyMeter(), Race(3.0)
    session = opened(meter)
    race.losses(session, Best([*SINGLES, *SINGLES], 1))
    raced = race.raced()
    assert raced.evaluations == len(SINGLES) * N
    assert len(meter.log) == len(set(meter.log)) == raced.evaluations - raced.spared
    assert raced.spared > raced.evaluations / 3
    assert (raced.looks, round(raced.chance, 5)) == (7, 0.00135)


def test_two_that_are_close_stay_to_the_end(opened):
    close = {SINGLES[3]: SINGLES[0]}

    def planted(subset):
        sums, weights = values(close.get(subset, subset))
        return [x + 1e-3 * (-1) ** i for i, x in enumerate(sums)], weights

    def other(subset):
        return planted(subset) if subset in close else values(subset)

    left = Race(3.0).losses(opened(NoisyMeter(other)), Best(SINGLES, 1))
    assert {SINGLES[0], SINGLES[3]} <= left.keys()


def test_one_that_is_not_finite_is_dropped_by_nobody_and_wins_nothing(opened):
    def broken(subset):
        sums, weights = values(subset)
        return ([math.nan] * N if subset in SINGLES[:2] else sums), weights

    left = Race(3.0).losses(opened(NoisyMeter(broken)), Best(SINGLES, 1))
    assert [left[s] for s in SINGLES[:2]] == [math.inf] * 2
    assert best(left, 1) == [SINGLES[2]]


def test_all_that_are_not_finite_are_left(opened):
    broken = NoisyMeter(lambda subset: ([math.nan] * N, [1.0] * N))
    left = Race(3.0).losses(opened(broken), Best(SINGLES, 1))
    assert left == dict.fromkeys(SINGLES, math.inf)


def known(folder):
    return Journal(folder, KEY).known


def test_a_journal_that_is_empty_full_or_half_full_gives_the_same(opened, tmp_path):
    request, race = Best(SINGLES, 2), Race(3.0)
    left = race.losses(opened(folder="empty"), request)
    raced = known(tmp_path / "empty")

    opened(folder="full").losses(SINGLES)
    full = known(tmp_path / "full")
    again = Race(3.0)
    assert again.losses(opened(folder="full"), request) == left
    assert again.raced() == race.raced()
    assert known(tmp_path / "full") == full

    (segment,) = (tmp_path / "empty").glob("*.jsonl")
    lines = segment.read_text().splitlines(keepends=True)
    for kept in range(1, len(lines), 7):
        folder = tmp_path / f"killed-{kept}"
        folder.mkdir()
        (folder / segment.name).write_text("".join(lines[:kept]))
        again = Race(3.0)
        assert again.losses(opened(folder=folder.name), request) == left
        assert again.raced() == race.raced()
        assert known(folder) == raced


def test_a_plain_request_measures_the_rest_of_what_was_dropped(opened):
    meter = NoisyMeter()
    left = Race(3.0).losses(opened(meter), Best(SINGLES, 1))
    dropped = [s for s in SINGLES if s not in left]
    before = set(meter.log)
    assert opened(meter).losses(dropped) == opened(folder="whole").losses(dropped)
    assert len(meter.log) == len(set(meter.log)) == len(SINGLES) * N
    assert {s for s, _ in set(meter.log) - before} == set(dropped)


def test_a_mix_races_by_the_errors_of_its_sum(opened):
    def other(subset):
        sums, weights = values(subset)
        return sums[::-1], weights[::-1]

    parts = [opened(folder="a"), opened(NoisyMeter(other), folder="b")]
    for number, part in enumerate(parts):
        part.cache.journal.describes["calibration"] = number
    session = MixedSession(parts, [1.0, 1.0])
    pairs = [frozenset({i, i + 1}) for i in range(11)]
    race = Race(3.0)
    left = race.losses(session, Best(pairs, 1))
    assert race.raced().evaluations == len(pairs) * 2 * N
    assert race.raced().spared > 0
    losses = dict(zip(pairs, session.losses(pairs), strict=True))
    assert best(left, 1) == best(losses, 1)


@pytest.mark.parametrize("n", [1, 3, 7, 8, 15, 16, 31, 32, 33, 64, 100])
def test_looks_are_at_least_four_samples_apart_and_at_most_eight(n):
    ends = ends_of_looks(n)
    assert ends[-1] == n
    assert len(ends) == len(shares_of_looks(n)) <= 8
    assert all(b - a >= 3 for a, b in zip([0, *ends], ends, strict=False)) or n < 4
    assert len(ends) == 8 or n < 32


def test_the_chance_is_that_of_draws_without_replacement():
    """At 2 deviations, the mean of 8 of 32 normal values is too high in 2.3 % of draws."""
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(40_000, N))
    first = draws[:, :8]
    error = first.std(1, ddof=1) / math.sqrt(8)
    behind = first.mean(1) - draws.mean(1) > threshold(2.0, 8, N) * error
    assert behind.mean() == pytest.approx(0.0228, abs=0.003)
