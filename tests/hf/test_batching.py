"""Samples in padded batches."""

import torch

from prunekit.core import IGNORE
from prunekit.hf.tokens import batches_of


def sample(rows, length, start=0):
    ids = torch.arange(start, start + rows * length).reshape(rows, length)
    return {"input_ids": ids, "targets": ids + 1, "kind": torch.full((rows,), start)}


def test_samples_keep_their_order_and_rows():
    (batch,) = batches_of([sample(2, 3), sample(1, 2, start=50)], 100)
    assert batch.input_ids.tolist() == [[0, 1, 2], [3, 4, 5], [50, 51, 0]]
    assert batch.attention_mask.tolist() == [[1, 1, 1], [1, 1, 1], [1, 1, 0]]
    assert batch.targets.tolist() == [[1, 2, 3], [4, 5, 6], [51, 52, IGNORE]]
    assert (batch.sample.tolist(), batch.n_samples) == ([0, 0, 1], 2)
    assert batch.extra["kind"].tolist() == [0, 0, 50]


def test_no_batch_has_more_tokens_than_allowed_padding_included():
    batches = batches_of([sample(1, n) for n in (5, 5, 9, 5, 5)], 20)
    assert [b.n_samples for b in batches] == [2, 2, 1]
    assert all(b.input_ids.numel() <= 20 for b in batches)


def test_a_sample_above_the_limit_is_a_batch_by_itself():
    batches = batches_of([sample(1, 3), sample(4, 9), sample(1, 3)], 10)
    assert [b.input_ids.shape for b in batches] == [(1, 3), (4, 9), (1, 3)]
