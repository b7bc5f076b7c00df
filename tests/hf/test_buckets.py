"""Samples of similar length are run together; nothing else depends on it."""

import pytest
import torch

from prunekit.core import IGNORE
from prunekit.core.spec import Spec
from prunekit.engine.rounding import shapes
from prunekit.hf.buckets import MOST_PADDING, buckets_of, grouped
from prunekit.hf.loading import load_adapter
from prunekit.hf.prefix import PrefixMeter
from prunekit.hf.tokens import batches_of
from prunekit.plugins.objectives.divergence import Divergence
from prunekit.plugins.objectives.margin import Margin
from prunekit.plugins.objectives.perplexity import Perplexity

LENGTHS = [300, 20, 290, 31, 30, 299]


def sample(rows, length, kind=0):
    ids = 3 + torch.arange(rows * length).reshape(rows, length) % 50
    last = torch.full((rows, 1), IGNORE)
    targets = torch.cat([ids[:, 1:], last], 1)
    return {"input_ids": ids, "targets": targets, "kind": torch.full((rows,), kind)}


def lengths(bucket):
    return bucket.batch.attention_mask.sum(1).tolist()


def padding(bucket):
    return int((bucket.batch.attention_mask == 0).sum())


@pytest.fixture
def batch():
    (one,) = batches_of([sample(2, n, kind=i) for i, n in enumerate(LENGTHS)], 10**6)
    return one


def test_samples_of_similar_length_are_in_one_bucket(batch):
    first, second = buckets_of(batch)
    assert (first.samples, lengths(first)) == ((0, 5, 2), [300, 300, 299, 299, 290, 290])
    assert (second.samples, lengths(second)) == ((3, 4, 1), [31, 31, 30, 30, 20, 20])
    assert second.batch.input_ids.shape == (6, 31)


def test_a_bucket_holds_whole_samples_with_their_tensors(batch):
    _, bucket = buckets_of(batch)
    assert bucket.batch.sample.tolist() == [0, 0, 1, 1, 2, 2]
    assert bucket.batch.n_samples == 3
    assert bucket.batch.extra["kind"].tolist() == [3, 3, 4, 4, 1, 1]
    for row, number in enumerate([3, 3, 4, 4, 1, 1]):
        assert torch.equal(
            bucket.batch.input_ids[row, : LENGTHS[number]],
            sample(2, LENGTHS[number])["input_ids"][row % 2],
        )


@pytest.mark.parametrize("seed", range(5))
def test_padding_between_samples_is_bounded(seed):
    draw = torch.Generator().manual_seed(seed)
    found = torch.randint(1, 400, (60,), generator=draw).tolist()
    rows = torch.randint(1, 5, (60,), generator=draw).tolist()
    groups = grouped(found, rows)
    assert sorted(i for group in groups for i in group) == list(range(60))
    for group in groups:
        longest = max(found[i] for i in group)
        assert sum(rows[i] * (longest - found[i]) for i in group) <= MOST_PADDING


def test_samples_of_one_length_stay_in_one_batch_and_in_order():
    (batch,) = batches_of([sample(1, 40)] * 30, 10**6)
    (bucket,) = buckets_of(batch)
    assert bucket.batch is batch
    assert shapes([batch]) == [(30, 40)]


def test_buckets_are_part_of_the_layout(batch):
    assert shapes([batch]) == [((6, 300), (6, 31))]


@pytest.fixture(scope="module")
def adapter(tiny_model):
    return load_adapter(Spec(str(tiny_model("qwen3")), device="cpu", dtype="float32"))


MIXED = {
    "ppl": Perplexity(data="demo", samples=2, length=8),
    "kl": Divergence(data="demo", samples=2, length=8),
}


def pieces(adapter, objective, samples, tokens):
    batches = batches_of(samples, tokens)
    wanted = [[frozenset({2}), frozenset({1, 5})]] * len(batches)
    found = list(PrefixMeter(adapter, objective, batches).measure(wanted))
    return {
        subset: [x for piece in found if piece.subset == subset for x in (*piece.sums,)]
        for subset in wanted[0]
    }


@pytest.mark.parametrize("objective", MIXED.values(), ids=MIXED)
def test_values_stay_in_the_order_of_samples(adapter, objective):
    samples = [sample(1, n) for n in (100, 20, 90, 31, 30, 99, 21, 22)]
    for one in samples:
        del one["kind"]
    (batch,) = batches_of(samples, 10**6)
    assert len(buckets_of(batch)) > 1
    alone, together = (pieces(adapter, objective, samples, tokens) for tokens in (1, 10**6))
    for subset, sums in alone.items():
        assert together[subset] == pytest.approx(sums, rel=1e-5)


def test_what_is_kept_of_the_dense_model_belongs_to_its_bucket(adapter, demo_tokenizer):
    objective = Margin(data="demo", samples=8, scale="dense")
    samples = objective.calibration_set(demo_tokenizer)
    alone, together = (pieces(adapter, objective, samples, tokens) for tokens in (1, 10**6))
    for subset, sums in alone.items():
        assert together[subset] == pytest.approx(sums, abs=1e-4)
