"""Signals of one forward pass: the formulae of the papers, over all tokens but padding."""

import itertools
import math

import pytest
import torch

from prunekit.core import DENSE, Batch, ModelFacts, Spec
from prunekit.hf.loading import load_adapter
from prunekit.plugins.searchers.signals import BOUNDARY_COSINE, RELATIVE_MAGNITUDE, cosine

ANGLES = (math.pi / 2, 0.0, math.pi / 3)


class Turning:
    """Each block turns its input by an angle, and doubles it; the third token is padding."""

    facts = ModelFacts(3, 0, (0, 0, 0), {})

    def enter(self, batch):
        return torch.tensor([[[1.0, 0.0], [0.0, 3.0], [float("nan")] * 2]])

    def block(self, index, state):
        sine, cosine = math.sin(ANGLES[index]), math.cos(ANGLES[index])
        return 2 * state @ torch.tensor([[cosine, sine], [-sine, cosine]])

    def hidden(self, state):
        return state


PADDED = Batch(*[torch.tensor([[1, 1, 0]])] * 3, torch.tensor([0]), 1)


def batch_of(*lengths):
    """Return a batch with a row of each length, padded on the right."""
    ids = torch.arange(max(lengths)).repeat(len(lengths), 1) + 5
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return Batch(ids, mask, ids, torch.arange(len(lengths)), len(lengths))


BATCHES = [batch_of(9, 4), batch_of(7)]


def states_of_transformers(adapter):
    """The hidden states `[boundaries, width]` of each token, by the model's own forward pass.

    What transformers returns last has gone through the final norm, so that one is left out.
    """
    with adapter.bypassing(DENSE) as model, torch.no_grad():
        for batch in BATCHES:
            output = model(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                use_cache=False,
                output_hidden_states=True,
            )
            for place in batch.attention_mask.nonzero().tolist():
                found = [hidden[tuple(place)].double() for hidden in output.hidden_states]
                yield torch.stack(found[:-1])


@pytest.fixture(params=["llama3", "qwen3", "gpt2"])
def adapter(request, tiny_model, registry):
    folder = tiny_model(request.param, n_blocks=5)
    return load_adapter(Spec(str(folder), device="cpu", dtype="float32"), registry)


def test_cosines_are_those_of_the_angles_between_boundaries_and_padding_does_not_count():
    table = BOUNDARY_COSINE.measure(Turning(), None, [PADDED])
    at = [0.0, *itertools.accumulate(ANGLES)]
    for a, b in itertools.product(range(4), repeat=2):
        assert table[a][b] == pytest.approx(math.cos(at[a] - at[b]), abs=1e-6)


def test_magnitudes_are_those_of_the_added_vectors_and_padding_does_not_count():
    """A vector of length 1 that becomes one of length 2 at angle t moves by sqrt(5 - 4 cos t)."""
    (row,) = RELATIVE_MAGNITUDE.measure(Turning(), None, [PADDED])
    assert row == pytest.approx([math.sqrt(5 - 4 * math.cos(t)) / 2 for t in ANGLES])


@pytest.mark.parametrize("at_once", [1, 3, 256])
def test_cosines_are_those_of_the_hidden_states_of_transformers(adapter, monkeypatch, at_once):
    monkeypatch.setattr(cosine, "TOKENS_AT_ONCE", at_once)
    tokens = [torch.nn.functional.normalize(s, dim=-1) for s in states_of_transformers(adapter)]
    expected = sum(s @ s.T for s in tokens) / len(tokens)
    found = torch.tensor(BOUNDARY_COSINE.measure(adapter, None, BATCHES), dtype=torch.float64)
    assert found.shape == (6, 6)
    assert torch.equal(found, found.T)
    assert torch.allclose(found[:-1, :-1], expected, atol=1e-5)
    assert found[-1, -1] == pytest.approx(1.0)


def test_magnitudes_are_those_of_the_hidden_states_of_transformers(adapter):
    ratios = [
        (s[1:] - s[:-1]).norm(dim=1) / s[1:].norm(dim=1) for s in states_of_transformers(adapter)
    ]
    (found,) = RELATIVE_MAGNITUDE.measure(adapter, None, BATCHES)
    assert len(found) == 5
    assert found[:-1] == pytest.approx((sum(ratios) / len(ratios)).tolist(), rel=1e-4)
