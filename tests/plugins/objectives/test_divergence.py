"""KL divergence from the dense model."""

import pytest
import torch

from prunekit.core import DENSE
from prunekit.core.spec import Spec
from prunekit.hf.loading import load_adapter
from prunekit.hf.prefix import PrefixMeter
from prunekit.hf.tokens import batches_of
from prunekit.plugins.objectives.divergence import Divergence

REMOVED = frozenset({2, 5})


@pytest.fixture
def adapter(tiny_model, registry):
    return load_adapter(Spec(str(tiny_model()), device="cpu", dtype="float32"), registry)


def measured(adapter, objective, tokenizer, subset):
    batches = batches_of(objective.calibration_set(tokenizer), 40)
    assert len(batches) > 1
    meter = PrefixMeter(adapter, objective, batches)
    return [x for piece in meter.measure([[subset]] * len(batches)) for x in piece.sums]


@torch.no_grad()
def naive(adapter, objective, tokenizer):
    (batch,) = batches_of(objective.calibration_set(tokenizer), 10**6)
    dense, pruned = (
        adapter.reference(batch, s)[:, :-1].double().log_softmax(-1) for s in (DENSE, REMOVED)
    )
    return (dense.exp() * (dense - pruned)).sum((1, 2)).tolist()


def test_with_all_words_kept_it_is_the_divergence(adapter, demo_tokenizer):
    objective = Divergence(data="demo", samples=3, length=20, top=10**6)
    expected = naive(adapter, objective, demo_tokenizer)
    assert measured(adapter, objective, demo_tokenizer, REMOVED) == pytest.approx(
        expected, rel=1e-4
    )


def test_with_few_words_kept_it_is_a_lower_bound_that_rises(adapter, demo_tokenizer):
    losses = []
    for top in (1, 8, 64, 512):
        objective = Divergence(data="demo", samples=3, length=20, top=top)
        losses.append(sum(measured(adapter, objective, demo_tokenizer, REMOVED)))
    assert losses == sorted(losses)
    assert 0 < losses[-1] <= sum(naive(adapter, objective, demo_tokenizer)) * 1.0001


def test_the_dense_model_diverges_from_itself_by_nothing(adapter, demo_tokenizer):
    objective = Divergence(data="demo", samples=3, length=20)
    assert measured(adapter, objective, demo_tokenizer, DENSE) == pytest.approx([0.0] * 3, abs=1e-4)
