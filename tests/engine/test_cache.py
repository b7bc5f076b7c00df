"""Measured once, answered for ever."""

import math
import os
import random
import signal
import time

import pytest

from prunekit.core.batch import Batch
from prunekit.engine.cache import MeasurementCache
from prunekit.engine.journal import Journal

KEY = {"weights": "toy"}
SUBSETS = [frozenset({i}) for i in range(12)] + [frozenset({i, i + 2}) for i in range(10)]


def batches(*sizes):
    return [Batch(None, None, None, None, size) for size in sizes]


def cache(meter, folder, sizes=(2, 2)):
    return MeasurementCache(meter, batches(*sizes), Journal(folder, KEY))


def test_nothing_is_measured_twice_by_one_process(toy_meter, tmp_path):
    meter = toy_meter()
    book = cache(meter, tmp_path)
    first = book.measure([*SUBSETS, *SUBSETS])
    assert first == book.measure(SUBSETS) * 2
    assert sorted(meter.log, key=repr) == sorted(
        ((b, s) for b in range(2) for s in SUBSETS), key=repr
    )
    assert book.measured == len(SUBSETS)


@pytest.mark.parametrize(("share", "run"), [(0.25, [0]), (0.5, [0]), (0.6, [0, 1]), (1.0, [0, 1])])
def test_a_part_runs_the_batches_that_hold_its_samples(toy_meter, tmp_path, share, run):
    (whole,) = cache(toy_meter(), tmp_path / "other").measure([frozenset({11})])
    meter = toy_meter()
    book = cache(meter, tmp_path)
    (part,) = book.measure([frozenset({11})], share)
    n = math.ceil(4 * share)
    assert (part.sums, part.weights) == (whole.sums[:n], whole.weights[:n])
    assert [batch for batch, _ in meter.log] == run
    assert book.measured == (run == [0, 1])


def test_the_rest_of_a_part_is_measured_once(toy_meter, tmp_path):
    meter = toy_meter()
    book = cache(meter, tmp_path)
    book.measure(SUBSETS, 0.5)
    whole = book.measure(SUBSETS)
    book.measure(SUBSETS, 0.5)
    assert whole == cache(toy_meter(), tmp_path / "other").measure(SUBSETS)
    assert len(meter.log) == len(set(meter.log)) == 2 * len(SUBSETS)


def test_nor_by_the_next_process(toy_meter, tmp_path):
    expected = cache(toy_meter(), tmp_path).measure(SUBSETS)
    meter = toy_meter()
    assert cache(meter, tmp_path).measure(SUBSETS) == expected
    assert meter.log == []


def test_samples_stand_in_their_order(toy_meter, tmp_path):
    (found,) = cache(toy_meter(), tmp_path).measure([frozenset({11})])
    base = 1 / 12
    assert found.sums == pytest.approx((base, base + 1, base + 1, base + 2))


def test_after_a_stop_only_the_missing_pieces_are_measured(toy_meter, tmp_path):
    class Stopping(toy_meter):
        def measure(self, wanted):
            for number, piece in enumerate(super().measure(wanted)):
                if number == 30:
                    raise KeyboardInterrupt
                yield piece

    with pytest.raises(KeyboardInterrupt):
        cache(Stopping(), tmp_path).measure(SUBSETS)
    meter = toy_meter()
    found = cache(meter, tmp_path).measure(SUBSETS)
    assert len(meter.log) == 2 * len(SUBSETS) - 30
    assert found == cache(toy_meter(), tmp_path / "other").measure(SUBSETS)


def test_a_journal_of_another_batch_size_serves_too(toy_meter, tmp_path):
    expected = cache(toy_meter(), tmp_path, sizes=(2, 2)).measure(SUBSETS)
    meter = toy_meter(batches=1)
    assert cache(meter, tmp_path, sizes=(4,)).measure(SUBSETS) == expected
    assert meter.log == []


@pytest.mark.parametrize("seed", range(8))
def test_killed_at_any_moment_it_goes_on_and_measures_nothing_twice(
    toy_meter, tmp_path, seed, monkeypatch
):
    monkeypatch.setattr("prunekit.engine.cache.SECONDS_BETWEEN_WRITES", 0.0)
    expected = cache(toy_meter(), tmp_path / "whole").measure(SUBSETS)

    class Slow(toy_meter):
        def measure(self, wanted):
            for piece in super().measure(wanted):
                time.sleep(0.001)
                yield piece

    rng = random.Random(seed)
    for _ in range(3):
        child = os.fork()
        if child == 0:
            cache(Slow(), tmp_path / "killed").measure(SUBSETS)
            os._exit(0)
        time.sleep(rng.uniform(0.0, 0.06))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert cache(toy_meter(), tmp_path / "killed").measure(SUBSETS) == expected
    rows = [
        line
        for path in (tmp_path / "killed").glob("*.jsonl")
        for line in path.read_text().splitlines()[1:]
        if line.endswith("}")
    ]
    assert len(rows) == len(set(rows)) == 2 * len(SUBSETS)


def test_two_processes_at_once_lose_and_corrupt_nothing(toy_meter, tmp_path):
    expected = cache(toy_meter(), tmp_path / "alone").measure(SUBSETS)
    children = []
    for order in (SUBSETS, SUBSETS[::-1]):
        child = os.fork()
        if child == 0:
            for subset in order:
                cache(toy_meter(), tmp_path / "both").measure([subset])
            os._exit(0)
        children.append(child)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    meter = toy_meter()
    assert cache(meter, tmp_path / "both").measure(SUBSETS) == expected
    assert meter.log == []


def test_what_another_process_measured_meanwhile_is_not_measured_again(toy_meter, tmp_path):
    first, second = toy_meter(), toy_meter()
    books = cache(first, tmp_path), cache(second, tmp_path)
    found = books[0].measure(SUBSETS[:4])
    assert books[1].measure(SUBSETS[:6]) == [*found, *books[1].measure(SUBSETS[4:6])]
    assert {subset for _, subset in second.log} == set(SUBSETS[4:6])
    assert [book.measured for book in books] == [4, 2]


def test_processes_that_measure_the_same_at_once_each_count_what_they_did(toy_meter, tmp_path):
    other = cache(toy_meter(), tmp_path)

    class Overtaken(toy_meter):
        def measure(self, wanted):
            other.measure(SUBSETS)
            yield from super().measure(wanted)

    book = cache(Overtaken(), tmp_path)
    assert book.measure(SUBSETS) == other.measure(SUBSETS)
    assert book.measured == other.measured == len(SUBSETS)
    assert book.block_runs == other.block_runs > 0
    meter = toy_meter()
    cache(meter, tmp_path).measure(SUBSETS)
    assert meter.log == []


def test_a_subset_that_overlapping_batches_complete_twice_counts_once(
    toy_meter, tmp_path, monkeypatch
):
    monkeypatch.setattr("prunekit.engine.cache.SECONDS_BETWEEN_WRITES", 0.0)
    Journal(tmp_path, KEY).append([(SUBSETS[0], (1, 4), ((1.0, 1.0, 2.0), (1.0,) * 3))])
    book = cache(toy_meter(batches=4), tmp_path, sizes=(1, 1, 1, 1))
    book.measure([SUBSETS[0]])
    assert book.measured == 1
