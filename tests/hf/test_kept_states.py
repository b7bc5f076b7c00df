"""A meter that keeps states between requests measures the same, and runs fewer blocks."""

import pytest

from prunekit.core.spec import Spec
from prunekit.hf.loading import load_adapter
from prunekit.hf.prefix import PrefixMeter
from prunekit.hf.tokens import batches_of
from prunekit.plugins.objectives.perplexity import Perplexity

REQUESTS = ([{3}, {1}, {5}], [{3, 5}, {1, 3}, {0, 3}], [{1, 3, 5}, set()])


@pytest.fixture(params=["llama3", "gpt2", "gemma2"])
def adapter(request, tiny_model, registry):
    return load_adapter(Spec(str(tiny_model(request.param)), device="cpu"), registry)


@pytest.fixture
def batches(adapter, demo_tokenizer):
    samples = Perplexity(data="demo", samples=3, length=16).calibration_set(demo_tokenizer)
    return batches_of(samples, 32)


def measure(adapter, batches, memory):
    """Return all pieces of the requests, how often blocks ran, and the states kept at the end."""
    meter, ran = PrefixMeter(adapter, Perplexity(data="demo"), batches, memory), []
    block = adapter.block
    adapter.block = lambda index, state: ran.append(index) or block(index, state)
    try:
        pieces = [
            piece
            for request in REQUESTS
            for piece in meter.measure([[frozenset(s) for s in request]] * len(batches))
        ]
    finally:
        del adapter.block
    return pieces, len(ran), [state for kept in meter._kept.values() for state in kept._states]


def test_losses_are_the_same_to_the_last_bit(adapter, batches):
    plain, all_runs, _ = measure(adapter, batches, 0)
    for memory in (30_000, 10**9):
        pieces, runs, _ = measure(adapter, batches, memory)
        assert set(pieces) == set(plain)
        assert runs < all_runs


def test_what_is_kept_fits_into_the_memory(adapter, batches):
    (two_rows, one_row) = [adapter.state_bytes(adapter.enter(batch)) for batch in batches]
    assert two_rows == 2 * one_row > 0
    _, _, kept = measure(adapter, batches, 10 * two_rows)
    assert len(kept) == 5 + 10  # half of the memory for each batch


def test_an_adapter_that_does_not_know_the_size_of_a_state_keeps_none(adapter, batches):
    adapter.state_bytes = lambda state: 0
    assert measure(adapter, batches, 10**9)[2] == []
