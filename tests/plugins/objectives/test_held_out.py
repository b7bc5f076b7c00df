"""Held-out samples: those that a calibration set does not draw."""

import dataclasses
import itertools
import json
import math
import warnings
from bisect import bisect_left

import pytest

from prunekit.core import ConfigError
from prunekit.core.options import internals_of, options_of, values_of
from prunekit.core.problem import DENSE
from prunekit.core.registry import load
from prunekit.engine.config import parse
from prunekit.engine.opening import open_session
from prunekit.engine.plan import resolve
from prunekit.plugins.objectives import texts
from prunekit.plugins.objectives.choice import Choice
from prunekit.plugins.objectives.divergence import Divergence
from prunekit.plugins.objectives.margin import Margin
from prunekit.plugins.objectives.perplexity import Perplexity

WORDS = ["king", "horse", "three", "daughters", "beside", "river", "of", "old", "stones"]


def prose(n, words=120):
    """A text of its own for every number: no window of it occurs in another."""
    return " ".join(f"{WORDS[(n * 7 + i * i) % len(WORDS)]} {n * 1000 + i}" for i in range(words))


def rows_of(objective, tokenizer):
    return [
        tuple(row) for s in objective.calibration_set(tokenizer) for row in s["input_ids"].tolist()
    ]


def text_file(folder, n, name="texts.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps({"text": prose(i)}) + "\n" for i in range(n)))
    return str(path)


def item_file(folder, n, same=0):
    rows = [
        {
            "question": f"Who rules {max(i, same)}?",
            "choices": ["the king", "a cat"],
            "answer": i % 2,
        }
        for i in range(n)
    ]
    path = folder / "items.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def single_file(folder, words):
    path = folder / "book.txt"
    path.write_text(prose(1, words))
    return str(path)


def documents_of(objective, tokenizer):
    """The numbers of the documents from which samples of `prose` were cut."""
    found = set()
    for row in rows_of(objective, tokenizer):
        numbers = [int(w) for w in tokenizer.decode(row).split()[1:-1] if w.isdecimal()]
        found |= {n // 1000 for n in numbers if n >= 1000}
    return found


@pytest.mark.parametrize("seed", [0, 3, 5])
@pytest.mark.parametrize(
    "objective",
    [
        Perplexity(data="demo", samples=8, length=16),
        Perplexity(data="demo", samples=8, length=16, packing="stream"),
        Divergence(data="demo"),
        Margin(data="demo"),
        Choice(data="demo", samples=5, repr="label"),
    ],
    ids=lambda o: f"{o.name}-{o.samples}",
)
def test_of_the_demo_they_are_other_draws(objective, seed, demo_tokenizer):
    objective = dataclasses.replace(objective, seed=seed)
    held = objective.held_out()
    assert type(held) is type(objective)
    here, there = rows_of(objective, demo_tokenizer), rows_of(held, demo_tokenizer)
    assert not set(here) & set(there)
    assert len(there) == (3 if objective.samples is None else 4) * len(here)
    assert rows_of(objective.held_out(), demo_tokenizer) == there


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("packing", ["documents", "stream"])
def test_no_document_gives_windows_to_both(packing, seed, tmp_path, demo_tokenizer):
    options = {"samples": 3, "length": 150, "packing": packing, "seed": seed}
    objective = Perplexity(data=text_file(tmp_path, 20), **options)
    held = objective.held_out(times=2)
    here, there = (documents_of(o, demo_tokenizer) for o in (objective, held))
    assert here
    assert there
    assert not here & there
    assert len(held.calibration_set(demo_tokenizer)) == 6


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_windows_of_a_single_text_do_not_overlap(seed, tmp_path, demo_tokenizer):
    data = single_file(tmp_path, 600)
    tokens = demo_tokenizer((tmp_path / "book.txt").read_text()).input_ids
    objective = Perplexity(data=data, samples=4, length=50, seed=seed)
    here = rows_of(objective, demo_tokenizer)
    there = rows_of(objective.held_out(times=1000), demo_tokenizer)
    whole = len(tokens) // 50
    cut = [tuple(tokens[i : i + 50]) for i in range(0, whole * 50, 50)]
    assert here == cut[seed * 4 : seed * 4 + 4]
    assert there == cut[seed * 4 + 4 :] + cut[: seed * 4]


def test_so_many_times_as_many_or_what_is_left(tmp_path, demo_tokenizer):
    objective = Margin(data=item_file(tmp_path, 10), samples=3)
    sizes = [len(objective.held_out(times).calibration_set(demo_tokenizer)) for times in (1, 2, 4)]
    assert sizes == [3, 6, 7]
    assert not set(rows_of(objective, demo_tokenizer)) & set(
        rows_of(objective.held_out(), demo_tokenizer)
    )


def test_too_little_data_holds_nothing_out(tmp_path):
    assert Margin(data=item_file(tmp_path, 5), samples=3).held_out() is None
    assert Margin(data=item_file(tmp_path, 6), samples=3).held_out() is not None
    assert Margin(data="demo", samples=200).held_out() is None
    assert Perplexity(data="demo", samples=65).held_out() is None
    assert Perplexity(data=text_file(tmp_path, 5), samples=3, length=20).held_out() is None
    text = single_file(tmp_path, 10)
    assert Perplexity(data=text, samples=3, length=40).held_out() is None


@pytest.mark.parametrize("packing", ["documents", "stream"])
def test_where_only_the_tokenizer_can_tell_the_samples_are_refused(
    packing, tmp_path, demo_tokenizer
):
    path = tmp_path / "texts.jsonl"
    rows = [prose(1), *["a short text"] * 40]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in rows))
    held = Perplexity(data=str(path), samples=1, length=300, packing=packing).held_out()
    with pytest.raises(ConfigError, match="0 sequences of 300 tokens beside its calibration set"):
        held.calibration_set(demo_tokenizer)


def test_questions_that_occur_twice_are_not_on_both_sides(tmp_path):
    assert Margin(data=item_file(tmp_path, 10, same=10), samples=2).held_out() is None


@pytest.mark.parametrize("packing", ["documents", "stream"])
def test_documents_that_occur_twice_are_not_on_both_sides(packing, tmp_path, demo_tokenizer):
    path = tmp_path / "texts.jsonl"
    twice = [prose(1), prose(1), prose(1), prose(2)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in twice))
    for seed in range(4):
        given = {"samples": 1, "length": 20, "seed": seed, "packing": packing}
        objective = Perplexity(data=str(path), **given)
        sides = [documents_of(o, demo_tokenizer) for o in (objective, objective.held_out())]
        assert sorted(map(list, sides)) == [[1], [2]]


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_of_lines_in_a_fixed_order_they_begin_with_the_next_line(seed, demo_tokenizer, monkeypatch):
    lines = [prose(n, words=4 + n % 5) for n in range(60)]
    monkeypatch.setattr(texts, "hub_rows", lambda *where: [{"text": line} for line in lines])
    whole = demo_tokenizer("\n\n".join(lines), return_offsets_mapping=True)
    ends = list(itertools.accumulate(len(line) + 2 for line in lines))
    last = whole["offset_mapping"][(seed + 1) * 60 - 1][1]
    after = bisect_left(ends, last) + 1
    objective = Perplexity(data="wikitext2", samples=2, length=30, seed=seed)
    assert sum(rows_of(objective, demo_tokenizer), ()) == tuple(
        whole["input_ids"][seed * 60 : (seed + 1) * 60]
    )
    tokens = demo_tokenizer("\n\n".join(lines[after:])).input_ids
    assert rows_of(objective.held_out(times=2), demo_tokenizer) == [
        tuple(tokens[i : i + 30]) for i in range(0, 4 * 30, 30)
    ]


def test_data_of_the_hub_is_not_read_to_know(monkeypatch):
    monkeypatch.setattr("datasets.load_dataset", None)
    assert Perplexity().held_out().samples == 4 * 64
    assert Perplexity(data="wikitext2").held_out().samples == 4 * 64
    assert Margin().held_out().samples == 4 * 128


def test_they_hold_nothing_out_themselves():
    assert Perplexity(data="demo", samples=2).held_out().held_out() is None
    assert Margin(data="demo", samples=2).held_out().held_out() is None


def test_looking_for_them_makes_no_remark(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text((tmp_path / item_file(tmp_path, 6)).read_text() + "{}\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Margin(data=str(path), samples=2).held_out() is not None


def test_they_are_measured_into_a_journal_of_their_own(tiny_model, tmp_path):
    registry = load()
    given = {"model": str(tiny_model()), "ppl": {"data": "demo", "samples": 2, "length": 16}}
    plan = resolve(parse(given, registry), registry)
    options = []
    for objective in (plan.objective, plan.objective.held_out(times=1)):
        chosen = dataclasses.replace(plan, objective=objective, parts=((objective, 1.0),))
        with open_session(chosen, tmp_path) as session:
            assert math.isfinite(session.losses([DENSE])[0])
            options.append(session.cache.journal.describes["options"])
    assert len(list(tmp_path.glob("journals/*"))) == 2
    assert options == [values_of(plan.objective), {**values_of(plan.objective), "skip": 2}]


def test_what_is_skipped_is_no_option_but_tells_journals_apart():
    objective = Perplexity(data="demo", samples=2)
    assert "skip" not in values_of(objective)
    assert "skip" not in {option.name for option in options_of(Perplexity)}
    assert internals_of(objective) == {}
    assert internals_of(objective.held_out()) == {"skip": 2}
