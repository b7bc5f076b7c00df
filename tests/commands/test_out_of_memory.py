"""A device that runs out of memory: kept states go first, then batches are halved."""

import pytest
import torch

import prunekit
from prunekit.core.errors import OutOfMemory, Remark
from prunekit.hf.decoder import DecoderAdapter
from prunekit.plugins.commands.search import smaller_batches

GIVEN = {
    "searcher": "greedy",
    "budget": 2,
    "finalists": 0,
    "dtype": "float32",
    "ppl": {"data": "demo", "samples": 32, "length": 64},
}
WHOLE, HALF = 2048, 1024


@pytest.fixture
def blocks(monkeypatch):
    """`blocks(fits)`: blocks run out of memory unless `fits(tokens, runs)`; returns what ran."""

    def make(fits):
        block, ran = DecoderAdapter.block, []

        def limited(self, index, state):
            ran.append(state.hidden.shape[0] * state.hidden.shape[1])
            if not fits(ran[-1], ran.count(WHOLE)):
                raise torch.OutOfMemoryError("out of memory")
            return block(self, index, state)

        monkeypatch.setattr(DecoderAdapter, "block", limited)
        return ran

    return make


def search(model, workdir):
    return prunekit.search(str(model), workdir=workdir, **GIVEN)


def test_batches_are_halved_until_they_fit(blocks, tiny_model, tmp_path):
    expected = search(tiny_model(), tmp_path / "whole")
    ran = blocks(lambda tokens, runs: tokens <= HALF)
    with pytest.warns(Remark, match=f"going on with --tokens-per-forward {HALF}"):
        found = search(tiny_model(), tmp_path / "halved")
    assert HALF in ran
    assert found.removed == expected.removed
    assert found.pruned.loss == pytest.approx(expected.pruned.loss, abs=1e-5)


def test_what_was_measured_before_is_not_measured_again(blocks, tiny_model, tmp_path):
    expected = search(tiny_model(), tmp_path)
    ran = blocks(lambda tokens, runs: tokens <= HALF)
    assert search(tiny_model(), tmp_path).removed == expected.removed
    assert not {WHOLE, HALF} & set(ran)


def test_a_device_too_small_for_any_batch_is_one_error(blocks, monkeypatch, tiny_model, tmp_path):
    monkeypatch.setattr(smaller_batches, "LEAST_TOKENS", HALF)
    blocks(lambda tokens, runs: tokens < HALF)
    with pytest.warns(Remark), pytest.raises(OutOfMemory, match=f"batches of {HALF} tokens"):
        search(tiny_model(), tmp_path)


@pytest.mark.filterwarnings("error::prunekit.core.errors.Remark")
def test_kept_states_give_way_before_batches_do(blocks, tiny_model, tmp_path):
    expected = search(tiny_model(), tmp_path / "whole")
    ran = blocks(lambda tokens, runs: runs != 30)  # the next try has the memory of the states
    found = search(tiny_model(), tmp_path / "crowded")
    assert ran.count(WHOLE) > 30
    assert (found.removed, found.pruned.loss) == (expected.removed, expected.pruned.loss)
