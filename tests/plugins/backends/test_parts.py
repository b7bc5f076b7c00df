"""How work is cut: nothing is lost, and little is run twice."""

import itertools
import random

import pytest

from prunekit.core.batch import IGNORE, Batch
from prunekit.core.trie import block_runs
from prunekit.plugins.backends import ray_meter
from prunekit.plugins.backends.ray_meter import Part, Queue

N = 12
PAIRS = [frozenset(pair) for pair in itertools.combinations(range(N), 2)]


def cut(wanted, n_blocks, stretches, head=1.0):
    return ray_meter.cut(wanted, n_blocks, stretches, [head] * len(wanted))


def runs(parts):
    return sum(block_runs(part.subsets, N) for part in parts)


def work_of_stretches(parts, stretches, head=1.0):
    return [
        sum(block_runs(p.subsets, N) + head * len(p.subsets) for p in parts if p.stretch == stretch)
        for stretch in range(stretches)
    ]


@pytest.mark.parametrize("seed", range(10))
def test_every_subset_of_every_batch_is_in_one_part(seed):
    rng = random.Random(seed)
    wanted = [rng.sample(PAIRS, rng.randrange(0, 30)) for _ in range(rng.randrange(1, 6))]
    parts = cut(wanted, N, stretches=rng.randrange(1, 9))
    found = [(part.batch, subset) for part in parts for subset in part.subsets]
    assert len(found) == len(set(found))
    assert set(found) == {(batch, s) for batch, subsets in enumerate(wanted) for s in subsets}


def test_nothing_wanted_is_no_part():
    assert cut([[], []], N, 3) == []


@pytest.mark.parametrize(("batches", "stretches"), [(1, 1), (4, 2), (6, 3), (16, 8)])
def test_where_each_replica_gets_whole_batches_nothing_is_run_twice(batches, stretches):
    parts = cut([PAIRS] * batches, N, stretches)
    assert [part.batch for part in parts] == list(range(batches))
    assert runs(parts) == batches * block_runs(PAIRS, N)


@pytest.mark.parametrize("batches", [1, 2, 3, 5])
@pytest.mark.parametrize("stretches", [2, 3, 4])
def test_a_cut_costs_at_most_one_prefix_and_the_stretches_are_even(batches, stretches):
    parts = cut([PAIRS] * batches, N, stretches)
    assert runs(parts) <= batches * block_runs(PAIRS, N) + (stretches - 1) * N
    work = work_of_stretches(parts, stretches)
    assert max(work) - min(work) <= 2 * N


def test_an_expensive_head_is_shared_out_as_well():
    head = 8.0
    priced, unpriced = (work_of_stretches(cut([PAIRS], N, 2, h), 2, head) for h in (head, 0.0))
    assert max(priced) - min(priced) <= N + head < max(unpriced) - min(unpriced)


def test_the_head_computes_the_positions_with_a_target_alone():
    import torch

    targets = torch.tensor([[5, IGNORE, IGNORE, 7], [IGNORE, IGNORE, IGNORE, 1]])
    batch = Batch(torch.zeros_like(targets), torch.ones_like(targets), targets, torch.arange(2), 2)
    assert ray_meter.scored_share(batch) == 3 / 8


def test_subsets_with_common_first_blocks_stay_together():
    early = [frozenset({0, i}) for i in range(1, N)]
    late = [frozenset({i, N - 1}) for i in range(1, N - 1)]
    mixed = [s for pair in itertools.zip_longest(early, late) for s in pair if s]
    first = cut([mixed], N, 2)[0]
    assert set(first.subsets) <= set(early)


def test_what_is_left_of_a_part_is_what_was_not_given():
    part = Part(3, tuple(PAIRS[:5]), 1)
    left = part.without(PAIRS[:2])
    assert (left.batch, left.stretch, left.subsets) == (3, 1, tuple(PAIRS[2:5]))


def test_a_replica_takes_its_own_stretch_then_the_last_of_another():
    queue = Queue(cut([PAIRS] * 4, N, 2))
    assert [queue.take(1).batch for _ in range(3)] == [2, 3, 1]
    assert (queue.take(1).batch, len(queue)) == (0, 0)


def test_what_a_dead_replica_left_is_taken_first():
    queue = Queue(cut([PAIRS] * 2, N, 1))
    begun = queue.take(0)
    queue.put_back(begun.without(PAIRS[:3]))
    assert len(queue.take(0).subsets) == len(PAIRS) - 3
    queue.put_back(begun.without(PAIRS))
    assert len(queue) == 1
