"""The signal is the formula of the paper, and the searcher ranks by it alone."""

import itertools
import math

import pytest
import torch
from prunekit_block_influence import BLOCK_INFLUENCE, BlockInfluence, block_influence

from prunekit import search
from prunekit.core import DENSE, Batch, ModelFacts, Problem, Spec
from prunekit.hf import load_adapter
from prunekit.testing import check_searcher

SEARCHER = "prunekit-block-influence:block-influence"
"""The plain name means the searcher of prunekit itself."""
ANGLES = (math.pi / 2, 0.0, math.pi / 3)


class Turning:
    """Each block turns its input by an angle, and doubles it."""

    facts = ModelFacts(3, 0, (0, 0, 0), {})

    def enter(self, batch):
        return torch.tensor([[[1.0, 0.0], [0.0, 3.0], [float("nan")] * 2]])

    def block(self, index, state):
        sine, cosine = math.sin(ANGLES[index]), math.cos(ANGLES[index])
        return 2 * state @ torch.tensor([[cosine, sine], [-sine, cosine]])

    def hidden(self, state):
        return state


def batch_of(*lengths):
    """Return a batch with a row of each length, padded on the right."""
    ids = torch.arange(max(lengths)).repeat(len(lengths), 1) + 5
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return Batch(ids, mask, ids, torch.arange(len(lengths)), len(lengths))


def test_it_is_one_minus_the_cosine_of_the_angle_and_padding_does_not_count():
    batch = Batch(*[torch.tensor([[1, 1, 0]])] * 3, torch.tensor([0]), 1)
    (row,) = block_influence(Turning(), None, [batch])
    assert row == pytest.approx([1.0, 0.0, 0.5], abs=1e-6)


def test_it_is_that_of_the_hidden_states_which_transformers_returns():
    adapter = load_adapter(Spec("demo:qwen3", device="cpu", dtype="float32"))
    batches = [batch_of(9, 4), batch_of(7)]
    (row,) = block_influence(adapter, None, batches)
    assert len(row) == adapter.facts.n_blocks
    cosines = [[] for _ in row]
    with adapter.bypassing(DENSE) as model, torch.no_grad():
        for batch in batches:
            output = model(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                use_cache=False,
                output_hidden_states=True,
            )
            for place in batch.attention_mask.nonzero().tolist():
                states = [hidden[tuple(place)].double() for hidden in output.hidden_states]
                for block, (a, b) in enumerate(itertools.pairwise(states)):
                    cosines[block].append(float(a @ b / (a.norm() * b.norm())))
    expected = [1 - sum(found) / len(found) for found in cosines]
    # What transformers returns last has gone through the final norm.
    assert row[:-1] == pytest.approx(expected[:-1], abs=1e-5)


def test_the_contract_of_a_searcher_is_kept():
    check_searcher(BlockInfluence())


def test_made_up_tables_have_the_size_of_the_signal():
    for n_blocks in (2, 7):
        table = BLOCK_INFLUENCE.synthetic(n_blocks)
        assert (len(table), len(table[0])) == BLOCK_INFLUENCE.shape(n_blocks, 5)


def test_the_least_influential_blocks_go_and_protected_ones_stay():
    signals = {"block_influence": [[0.3, 0.1, 0.2, 0.1, 0.0, 0.9]]}
    problem = Problem(6, 2, protected=frozenset({4}), signals=signals)
    with pytest.raises(StopIteration) as stop:
        next(BlockInfluence().search(problem))
    assert stop.value.value == {1, 3}


def test_a_search_measures_no_subset_to_choose(tmp_path):
    ppl = {"data": "demo", "samples": 2, "length": 24}
    given = {"searcher": SEARCHER, "objective": "ppl", "ppl": ppl, "device": "cpu"}
    two, three = (search("demo:qwen3", workdir=tmp_path, budget=k, **given) for k in (2, 3))
    assert two.work.asked == two.work.measured == 0
    assert set(two.removed) < set(three.removed)
    assert math.isfinite(three.pruned.loss)
