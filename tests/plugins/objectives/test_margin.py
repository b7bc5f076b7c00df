"""The task margin: formula, templates, data."""

import dataclasses
import json

import pytest
import torch

from prunekit.core import IGNORE, ConfigError
from prunekit.core.measurement import Measurement, loss_of
from prunekit.core.problem import DENSE
from prunekit.core.spec import Spec
from prunekit.hf.loading import load_adapter
from prunekit.hf.prefix import PrefixMeter
from prunekit.hf.tokens import batches_of
from prunekit.plugins.objectives.choices import load_items
from prunekit.plugins.objectives.margin import Margin


@pytest.fixture
def adapter(tiny_model, registry):
    return load_adapter(Spec(str(tiny_model()), device="cpu", dtype="float32"), registry)


def items_file(folder, rows, name="items.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


TWO_ITEMS = [
    {"question": "Who barks?", "choices": ["the dog", "the cat", "a stone"], "answer": 0},
    {"question": "What is wet?", "choices": ["fire", "water"], "answer": "water"},
]


class GivenLogprobs:
    """Predicts given log-likelihoods, row by row, at every target."""

    def __init__(self, rows):
        self.rows = rows

    def token_logprobs(self, targets):
        told = torch.tensor(self.rows)[:, None].expand(targets.shape)
        return torch.where(targets == IGNORE, 0.0, told)


def two_items(objective, tokenizer, tmp_path, rows=(-1.0, -2.0, -4.0, -5.0, -3.0)):
    objective = dataclasses.replace(objective, data=items_file(tmp_path, TWO_ITEMS), samples=2)
    samples = objective.calibration_set(tokenizer)
    if len(samples[0]["right"]) == 2:  # shuffled
        samples = samples[::-1]
    (batch,) = batches_of(samples, 10**6)
    sums, weights = objective.measure(GivenLogprobs(list(rows)), batch)
    measured = Measurement(tuple(sums.tolist()), tuple(map(float, weights.tolist())))
    return loss_of(measured, objective.reduce), batch


def test_two_items_by_hand(demo_tokenizer, tmp_path):
    # Margins: -1 - (-2 - 4) / 2 = 2, and -3 - -5 = 2.
    assert two_items(Margin(), demo_tokenizer, tmp_path)[0] == pytest.approx(-2.0)


@pytest.mark.parametrize(
    ("changes", "loss"),
    [
        ({"negatives": "max"}, -(1 + 2) / 2),
        ({"reduction": "pair-mean"}, -(2 * 2 + 1 * 2) / 3),
        ({"reduction": "pudding-sum"}, -(2 * 2 + 1 * 2)),
    ],
)
def test_the_variants_by_hand(demo_tokenizer, tmp_path, changes, loss):
    assert two_items(Margin(**changes), demo_tokenizer, tmp_path)[0] == pytest.approx(loss)


def test_the_norms_by_hand(demo_tokenizer, tmp_path):
    for norm in ("sum", "char-mean"):
        loss, batch = two_items(Margin(norm=norm), demo_tokenizer, tmp_path)
        tokens = (batch.targets != IGNORE).sum(1)
        totals = torch.tensor([-1.0, -2.0, -4.0, -5.0, -3.0]) * tokens
        if norm == "char-mean":
            totals = totals / torch.tensor([7, 7, 7, 4, 5])
        margins = [totals[0] - (totals[1] + totals[2]) / 2, totals[4] - totals[3]]
        assert loss == pytest.approx(-float(sum(margins)) / 2)


@torch.no_grad()
def naive_margin(adapter, items, tokenizer, removed=DENSE):
    """One forward for each choice, by the book."""
    margins = []
    for item in items:
        scores = []
        for context, continuation in item.by_content():
            ids = tokenizer(context + continuation).input_ids
            alone = tokenizer(context).input_ids
            start = 0
            while start < len(alone) and alone[start] == ids[start]:
                start += 1
            batch = batches_of(
                [{"input_ids": torch.tensor([ids]), "targets": torch.tensor([ids])}], 10**6
            )[0]
            logprobs = adapter.reference(batch, removed)[0].log_softmax(-1)
            scores.append(
                sum(logprobs[t - 1, ids[t]].item() for t in range(start, len(ids)))
                / (len(ids) - start)
            )
        wrong = [s for i, s in enumerate(scores) if i != item.answer]
        margins.append(scores[item.answer] - sum(wrong) / len(wrong))
    return -sum(margins) / len(margins)


def loss(adapter, samples, objective, removed=DENSE):
    meter = PrefixMeter(adapter, objective, batches_of(samples, 400))
    pieces = list(meter.measure([[removed]] * len(meter.batches)))
    sums, weights = ([x for p in pieces for x in getattr(p, name)] for name in ("sums", "weights"))
    return objective.reduce(sums, weights)


@pytest.mark.parametrize("removed", [DENSE, frozenset({1, 4})])
def test_it_equals_one_forward_per_choice(adapter, demo_tokenizer, removed):
    objective = Margin(data="demo", samples=6)
    items = load_items("demo", 0, 6, "margin")
    found = loss(adapter, objective.calibration_set(demo_tokenizer), objective, removed)
    assert found == pytest.approx(naive_margin(adapter, items, demo_tokenizer, removed), abs=1e-5)


def test_the_order_of_choices_does_not_matter(adapter, demo_tokenizer):
    objective = Margin(data="demo", samples=6)
    samples = objective.calibration_set(demo_tokenizer)
    turned = [{name: rows.flip(0) for name, rows in sample.items()} for sample in samples]
    assert loss(adapter, turned, objective) == pytest.approx(
        loss(adapter, samples, objective), abs=1e-6
    )


def test_the_pudding_sum_counts_pairs(adapter, demo_tokenizer):
    samples = Margin(data="demo", samples=6).calibration_set(demo_tokenizer)
    mean, total = (
        loss(adapter, samples, Margin(reduction=r)) for r in ("item-mean", "pudding-sum")
    )
    assert total == pytest.approx(6 * 3 * mean)


def test_only_the_answer_is_scored(demo_tokenizer):
    (sample, *_) = Margin(data="demo", samples=1).calibration_set(demo_tokenizer)
    (item, *_) = load_items("demo", 0, 1, "margin")
    for row, choice in enumerate(item.choices):
        scored = sample["targets"][row]
        assert demo_tokenizer.decode(scored[scored != IGNORE]) == f" {choice}"


def test_by_label_all_choices_are_listed_and_labels_are_scored(demo_tokenizer, tmp_path):
    objective = Margin(data=items_file(tmp_path, TWO_ITEMS[:1]), samples=1, repr="label")
    (sample,) = objective.calibration_set(demo_tokenizer)
    texts = [demo_tokenizer.decode(row[: int((row != 0).sum())]) for row in sample["input_ids"]]
    assert all("Answer1: the dog Answer2: the cat Answer3: a stone" in text for text in texts)
    assert [text.split("the correct answer is ")[1] for text in texts] == [
        "answer1",
        "answer2",
        "answer3",
    ]


def test_demo_items_come_in_disjoint_draws():
    draws = [{item.prompt for item in load_items("demo", seed, 64, "margin")} for seed in range(4)]
    assert len(set().union(*draws)) == 256


def test_files_are_shuffled_by_the_seed(tmp_path):
    rows = [{"question": f"Number {n}?", "choices": ["a", "b"], "answer": 0} for n in range(50)]
    data = items_file(tmp_path, rows)
    first, again, other = (load_items(data, seed, 10, "margin") for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"question": "Q?", "choices": ["a", "b"], "answer": 2},
            "the answer 2 is not one of its 2 choices",
        ),
        ({"question": "Q?", "choices": ["a", "b"], "answer": "c"}, "the answer 'c' is not one"),
        ({"question": "Q?", "choices": ["a", "a"], "answer": 0}, "two or more different choices"),
        ({"question": "Q?", "choices": ["a"], "answer": 0}, "two or more different choices"),
        ({"question": "Q?", "choices": ["a", " "], "answer": 0}, "two or more different choices"),
        (
            {"question": "Q?", "answer": 0},
            "expected the columns `question`, `choices` and `answer`",
        ),
        ({"question": 5, "choices": ["a", "b"], "answer": 0}, "needs text as its question, not 5"),
        ({"question": "Q?", "choices": "a, b", "answer": 0}, "needs a list of texts .* not 'a, b'"),
        ({"question": "Q?", "choices": ["a", None], "answer": 0}, "needs a list of texts"),
        ({"question": "Q?", "choices": ["a", "b"], "answer": True}, "the answer True is not one"),
        ({"instruction": "What?", "answer": "a"}, "not an item of Commonsense-170k"),
    ],
)
def test_an_item_that_cannot_be_scored_is_named(tmp_path, row, message):
    with pytest.raises(ConfigError, match=message):
        load_items(items_file(tmp_path, [row]), 0, 1, "margin")


def test_too_few_items_say_how_many_there_are(tmp_path, demo_tokenizer):
    with pytest.raises(
        ConfigError, match=r"has 2 usable .* 128 were requested: lower --margin\.samples"
    ):
        Margin(data=items_file(tmp_path, TWO_ITEMS)).calibration_set(demo_tokenizer)
    with pytest.raises(ConfigError, match="256 usable items, but 999 were requested"):
        load_items("demo", 0, 999, "margin")


def test_an_empty_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="empty.jsonl': the file is empty"):
        load_items(items_file(tmp_path, [], "empty.jsonl"), 0, 1, "margin")
