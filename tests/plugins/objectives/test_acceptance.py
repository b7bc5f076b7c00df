"""What a dense model rejects of a pruned model's draft, sampled and greedy."""

import pytest
import torch

from prunekit.core import DENSE
from prunekit.core.spec import Spec
from prunekit.hf.likeliest import likeliest, overlap
from prunekit.hf.loading import load_adapter
from prunekit.hf.prefix import PrefixMeter
from prunekit.hf.tokens import batches_of
from prunekit.plugins.objectives.acceptance import Acceptance, Agreement

REMOVED = frozenset({2, 5})
TEXT = {"data": "demo", "samples": 3, "length": 20}


@pytest.fixture
def adapter(tiny_model, registry):
    return load_adapter(Spec(str(tiny_model()), device="cpu", dtype="float32"), registry)


def measured(adapter, objective, tokenizer, subset):
    batches = batches_of(objective.calibration_set(tokenizer), 40)
    meter = PrefixMeter(adapter, objective, batches)
    return [x for piece in meter.measure([[subset]] * len(batches)) for x in piece.sums]


@pytest.fixture
@torch.no_grad()
def both(adapter, demo_tokenizer):
    """The probabilities of the dense and the pruned model's own forward passes."""
    (batch,) = batches_of(Acceptance(**TEXT).calibration_set(demo_tokenizer), 10**6)
    return [adapter.reference(batch, s)[:, :-1].double().softmax(-1) for s in (DENSE, REMOVED)]


def test_with_all_words_kept_it_is_the_sum_of_minima(adapter, demo_tokenizer, both):
    objective = Acceptance(**TEXT, top=10**6)
    wanted = (1 - torch.minimum(*both).sum(-1)).sum(1).tolist()
    found = measured(adapter, objective, demo_tokenizer, REMOVED)
    assert found == pytest.approx(wanted, abs=1e-4)


def test_with_few_words_kept_it_is_a_lower_bound_that_rises(adapter, demo_tokenizer, both):
    losses = [
        sum(measured(adapter, Acceptance(**TEXT, top=top), demo_tokenizer, REMOVED))
        for top in (1, 8, 64, 512)
    ]
    assert losses == sorted(losses)
    assert losses[-1] <= float((1 - torch.minimum(*both).sum(-1)).sum()) + 1e-4


def test_agreement_counts_likeliest_words(adapter, demo_tokenizer, both):
    dense, pruned = (p.argmax(-1) for p in both)
    found = measured(adapter, Agreement(**TEXT), demo_tokenizer, REMOVED)
    assert found == (dense != pruned).sum(1).tolist()


@pytest.mark.parametrize("objective", [Acceptance(**TEXT), Agreement(**TEXT)])
def test_the_dense_model_accepts_its_own_draft(adapter, demo_tokenizer, objective):
    found = measured(adapter, objective, demo_tokenizer, DENSE)
    assert found == pytest.approx([0.0] * 3, abs=1e-4)
    (share,) = objective.readings(0.25).values()
    assert share == 0.75


def test_a_draw_of_the_draft_is_accepted_as_often():
    """Speculative sampling of one word, many times."""
    chance = torch.Generator().manual_seed(0)
    p, q = (torch.rand(6, generator=chance).softmax(-1) for _ in range(2))
    p = (8 * p).softmax(-1)
    drawn = q.multinomial(200_000, replacement=True, generator=chance)
    accepted = torch.rand(len(drawn), generator=chance) < (p / q)[drawn]
    words, kept = likeliest(p.log()[None], 6)
    expected = float(overlap(kept, q.log()[None].gather(-1, words)))
    assert float(accepted.float().mean()) == pytest.approx(expected, abs=0.005)
