"""The rows of an item share their beginnings, and every loss is that of one forward a row."""

import pytest
import torch

from prunekit.core import IGNORE, Objective
from prunekit.core.batch import TreeBatch
from prunekit.core.problem import DENSE
from prunekit.core.spec import Spec
from prunekit.engine.rounding import shapes
from prunekit.hf.buckets import buckets_of
from prunekit.hf.loading import load_adapter
from prunekit.hf.prefix import PrefixMeter
from prunekit.hf.tokens import batches_of
from prunekit.hf.trees import Forest, trees_of
from prunekit.plugins.objectives.choice import Choice
from prunekit.plugins.objectives.margin import Margin

SUBSETS = [DENSE, frozenset({2}), frozenset({1, 4})]


def item(context, *options):
    """A sample with a row for each option; only tokens of options are targets."""
    rows = [[*context, *option] for option in options]
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    targets = torch.full((len(rows), width), IGNORE)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        targets[row, len(context) - 1 : len(tokens) - 1] = ids[row, len(context) : len(tokens)]
    right = torch.arange(len(rows)) == 0
    lengths = torch.tensor([len(option) for option in options])
    return {"input_ids": ids, "targets": targets, "right": right, "characters": lengths}


def items(n=5):
    """Items of several lengths; in each some options begin alike, and one is long."""
    return [
        item(
            [3 + (7 * i + j) % 50 for j in range(6 + 5 * i)],
            *([20 + i], [20 + i, 9, 8], [11, 12 + i, 13, 14, 15, 16, 17], [9, 30]),
        )
        for i in range(n)
    ]


def test_a_tree_holds_each_beginning_once_and_nothing_after_the_last_target():
    (batch,) = batches_of([item([5, 6], [7, 8], [7, 9, 4], [3])], 100)
    (tree,) = trees_of(batch)
    assert tree.tokens == [5, 6, 7, 9]  # what follows 8, 4 and 3 is not predicted
    assert tree.parents == [-1, 0, 1, 2]
    assert tree.paths == [[0, 1, 2], [0, 1, 2, 3], [0, 1]]


def test_a_node_sees_its_own_path_alone():
    (batch,) = batches_of([item([5, 6], [7, 8, 1], [9, 4, 1])], 100)
    forest = Forest.of(trees_of(batch), 5)
    assert forest.batch.input_ids.tolist() == [[5, 6, 7, 8, 9, 4]]
    assert forest.batch.positions.tolist() == [[0, 1, 2, 3, 2, 3]]
    assert forest.batch.visible.int().tolist() == [
        [
            [1, 0, 0, 0, 0, 0],
            [1, 1, 0, 0, 0, 0],
            [1, 1, 1, 0, 0, 0],
            [1, 1, 1, 1, 0, 0],
            [1, 1, 0, 0, 1, 0],
            [1, 1, 0, 0, 1, 1],
        ]
    ]
    assert forest.nodes.tolist() == [[0, 1, 2, 3, -1], [0, 1, 4, 5, -1]]


def test_trees_are_run_only_where_that_is_less_work():
    (shared,) = batches_of(items(), 10**6)
    (apart,) = batches_of([item([i], [5, 6, 7]) for i in range(4)], 10**6)
    assert all(bucket.forest for bucket in buckets_of(shared, trees=True))
    assert not any(bucket.forest for bucket in buckets_of(shared))
    assert not any(bucket.forest for bucket in buckets_of(apart, trees=True))
    assert shapes([shared], trees=True) != shapes([shared])
    assert shapes([apart], trees=True) == shapes([apart])


@torch.no_grad()
def naive(adapter, objective, samples, removed):
    """One forward of the model itself for each option, without padding."""
    sums = []
    for sample in samples:
        scores = []
        for ids, targets in zip(sample["input_ids"], sample["targets"], strict=True):
            places = (targets != IGNORE).nonzero()[:, 0]
            row = {"input_ids": ids[None, : int(places[-1]) + 2]}
            (batch,) = batches_of([{**row, "targets": row["input_ids"]}], 10**6)
            logprobs = adapter.reference(batch, removed)[0].double().log_softmax(-1)
            scores.append(logprobs[places, targets[places]].mean())
        likelihood = torch.stack(scores)
        if isinstance(objective, Choice):
            sums.append(float(likelihood.logsumexp(0) - likelihood[0]))
        else:
            sums.append(float(likelihood[1:].mean() - likelihood[0]))
    return sums


class Watched:
    """Counts the batches of trees that an adapter enters."""

    def __init__(self, adapter, monkeypatch):
        self.entered = []
        enter = adapter.enter
        monkeypatch.setattr(adapter, "enter", lambda b: (self.entered.append(b), enter(b))[1])

    @property
    def trees(self):
        return any(isinstance(batch, TreeBatch) for batch in self.entered[-1:])


def measured(adapter, objective, samples):
    pieces = PrefixMeter(adapter, objective, batches_of(samples, 10**6)).measure([SUBSETS])
    return {piece.subset: list(piece.sums) for piece in pieces}


def adapter_of(folder, dtype="float32"):
    return load_adapter(Spec(str(folder), device="cpu", dtype=dtype))


@pytest.mark.parametrize("objective", [Margin(), Choice()], ids=["margin", "choice"])
@pytest.mark.parametrize("family", ["llama3", "llama31", "qwen3"])
def test_losses_are_those_of_one_forward_for_each_option(
    family, objective, tiny_model, monkeypatch
):
    adapter, samples = adapter_of(tiny_model(family)), items()
    watched = Watched(adapter, monkeypatch)
    found = measured(adapter, objective, samples)
    assert watched.trees
    for subset in SUBSETS:
        expected = naive(adapter, objective, samples, subset)
        assert found[subset] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("family", "trees"),
    [
        ("gpt2", True),  # learned positions
        ("mistral", False),  # a window of 8 tokens
        ("gpt_neo", False),  # a window inside of its attention
        ("bloom", False),  # a bias by distance
        ("mpt", False),
        ("lfm2_moe", False),  # convolutions
        ("rwkv", False),
    ],
)
def test_families_take_trees_or_plain_rows_and_losses_are_the_same(
    family, trees, family_model, monkeypatch
):
    adapter, samples = adapter_of(family_model(family)[0]), items()
    watched = Watched(adapter, monkeypatch)
    found = measured(adapter, Margin(), samples)
    assert watched.trees == trees
    for subset in SUBSETS:
        expected = naive(adapter, Margin(), samples, subset)
        assert found[subset] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_window_counts_only_beyond_its_length(dtype, family_model):
    adapter = adapter_of(family_model("mistral")[0], dtype)
    assert adapter.takes_trees(5)
    assert not adapter.takes_trees(24)


class Everywhere(Objective):
    """Reads the predictions of every place, also after the last target."""

    name, unit = "everywhere", "nats per item"

    def calibration_set(self, tokenizer):
        return items()

    def measure(self, output, batch):
        rows = torch.cat([x.logsumexp(-1) for x in output.logits(batch.attention_mask.bool())])
        sums = torch.zeros(batch.n_samples).index_add(
            0, batch.sample.repeat_interleave(batch.attention_mask.sum(1)), rows
        )
        return sums, torch.ones(batch.n_samples)


class BreaksItsWord(Everywhere):
    """Says that it does not."""

    name, reads_targets_only = "breaks-its-word", True


def test_an_objective_that_promises_nothing_gets_plain_rows(tiny_model, monkeypatch):
    adapter = adapter_of(tiny_model())
    watched = Watched(adapter, monkeypatch)
    assert len(measured(adapter, Everywhere(), items())) == len(SUBSETS)
    assert not watched.trees


def test_an_objective_that_breaks_its_promise_is_named(tiny_model):
    from prunekit.core import PluginError

    with pytest.raises(PluginError, match="breaks-its-word.*after the last target of a row"):
        measured(adapter_of(tiny_model()), BreaksItsWord(), items())


def test_logits_of_trees_are_those_of_rows(tiny_model):
    adapter = adapter_of(tiny_model())
    (batch,) = batches_of(items(), 10**6)
    where = batch.targets != IGNORE
    with torch.no_grad():
        for bucket in buckets_of(batch, trees=True):
            state, rows = adapter.enter(bucket.entered), adapter.enter(bucket.batch)
            for index in range(adapter.facts.n_blocks):
                state, rows = adapter.block(index, state), adapter.block(index, rows)
            where = bucket.batch.targets != IGNORE
            found = torch.cat(list(bucket.output(adapter.output(state)).logits(where)))
            expected = torch.cat(list(adapter.output(rows).logits(where)))
            assert torch.allclose(found, expected, atol=1e-4)
