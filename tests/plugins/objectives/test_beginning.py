"""The beginning of windows and items."""

import copy
import json

import pytest
from tokenizers.processors import TemplateProcessing

from prunekit.core import IGNORE, ConfigError
from prunekit.hf import first_tokens
from prunekit.plugins.objectives.divergence import Divergence
from prunekit.plugins.objectives.margin import Margin
from prunekit.plugins.objectives.perplexity import Perplexity

TEXT = "The king had a horse, and the horse had a king. " * 9


def putting(tokenizer, before=(), after=()):
    """A tokenizer that puts these special tokens around a text."""
    changed = copy.deepcopy(tokenizer)
    ids = [(token, tokenizer.convert_tokens_to_ids(token)) for token in (*before, *after)]
    single = [*before, "$A", *after]
    changed.backend_tokenizer.post_processor = TemplateProcessing(
        single=single, pair=[*single, "$B"], special_tokens=ids
    )
    return changed


def write(folder, texts):
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return str(path)


def rows(objective, tokenizer):
    return [s["input_ids"][0].tolist() for s in objective.calibration_set(tokenizer)]


def plain(tokenizer, text):
    return tokenizer(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("kind", [Perplexity, Divergence])
@pytest.mark.parametrize("packing", ["documents", "stream"])
def test_every_window_begins_as_the_tokenizer_begins_a_text(
    tmp_path, llama_like, demo_tokenizer, kind, packing
):
    objective = kind(data=write(tmp_path, [TEXT] * 9), samples=6, length=30, packing=packing)
    found = rows(objective, llama_like)
    joined = plain(demo_tokenizer, "\n\n".join([TEXT] * 9))
    for row in found:
        assert len(row) == 30
        assert row[0] == llama_like.bos_token_id
        assert any(joined[i : i + 29] == row[1:] for i in range(len(joined)))
    if packing == "stream":
        assert [token for row in found for token in row[1:]] == joined[: 6 * 29]


@pytest.mark.parametrize("packing", ["documents", "stream"])
@pytest.mark.parametrize(("how", "begins"), [("every", True), ("none", False), ("auto", True)])
def test_the_option_overrules_the_tokenizer(tmp_path, llama_like, packing, how, begins):
    data = write(tmp_path, [TEXT] * 9)
    objective = Perplexity(data=data, samples=6, length=30, packing=packing, add_bos=how)
    found = rows(objective, llama_like)
    assert {row[0] == llama_like.bos_token_id for row in found} == {begins}
    assert not any(llama_like.bos_token_id in row[1:] for row in found)
    assert {len(row) for row in found} == {30}


@pytest.mark.parametrize("packing", ["documents", "stream"])
def test_a_tokenizer_that_puts_nothing_before_a_text_cuts_the_text_alone(
    tmp_path, demo_tokenizer, packing
):
    data = write(tmp_path, [TEXT] * 9)
    auto, none = (
        rows(
            Perplexity(data=data, samples=6, length=30, packing=packing, add_bos=how),
            demo_tokenizer,
        )
        for how in ("auto", "none")
    )
    assert auto == none
    assert not any(demo_tokenizer.bos_token_id in row for row in auto)


def test_every_window_may_begin_with_the_beginning_of_text(demo_tokenizer):
    found = rows(Perplexity(data="demo", samples=3, length=10, add_bos="every"), demo_tokenizer)
    assert all(row[0] == demo_tokenizer.bos_token_id and len(row) == 10 for row in found)


def test_what_a_tokenizer_puts_after_a_text_stands_in_no_window_and_is_not_scored(
    tmp_path, demo_tokenizer
):
    end = demo_tokenizer.eos_token
    ending = putting(demo_tokenizer, after=[end])
    assert ending("a").input_ids[-1] == demo_tokenizer.eos_token_id
    assert first_tokens(ending, "auto", "") == []
    data = write(tmp_path, ["The king had a horse."] * 9)
    length = len(plain(demo_tokenizer, "The king had a horse."))
    windows = rows(Perplexity(data=data, samples=6, length=length), ending)
    assert windows == [plain(demo_tokenizer, "The king had a horse.")] * 6
    mine, theirs = (
        Margin(data="demo", samples=2).calibration_set(tokenizer)
        for tokenizer in (ending, demo_tokenizer)
    )
    for one, other in zip(mine, theirs, strict=True):
        assert all((one[name] == other[name]).all() for name in ("input_ids", "targets"))


def test_several_tokens_before_a_text_stand_before_every_window_and_are_not_predicted(
    tmp_path, demo_tokenizer
):
    two = putting(demo_tokenizer, before=[demo_tokenizer.bos_token] * 2)
    bos = demo_tokenizer.bos_token_id
    objective = Perplexity(data=write(tmp_path, [TEXT] * 9), samples=2, length=12)
    for sample in objective.calibration_set(two):
        ids, targets = sample["input_ids"][0].tolist(), sample["targets"][0].tolist()
        assert ids[:2] == [bos, bos]
        assert targets == [IGNORE, *ids[2:], IGNORE]


@pytest.mark.parametrize(("how", "begins"), [("auto", True), ("every", True), ("none", False)])
def test_items_begin_in_the_same_way(llama_like, demo_tokenizer, how, begins):
    first = [llama_like.bos_token_id] if begins else []
    mine = Margin(data="demo", samples=2, add_bos=how).calibration_set(llama_like)
    bare = Margin(data="demo", samples=2).calibration_set(demo_tokenizer)
    for one, other in zip(mine, bare, strict=True):
        for row, plain_row in zip(one["input_ids"], other["input_ids"], strict=True):
            assert row.tolist() == first + plain_row.tolist()
        scored = [sample["targets"][sample["targets"] != IGNORE] for sample in (one, other)]
        assert scored[0].tolist() == scored[1].tolist()


@pytest.mark.parametrize("kind", [Perplexity, Margin])
def test_a_tokenizer_without_a_beginning_of_text_token_says_so(demo_tokenizer, kind):
    class Plain:
        bos_token_id = None

        def __call__(self, *args, **kwargs):
            return demo_tokenizer(*args, **kwargs)

    with pytest.raises(ConfigError, match="no beginning-of-text token; drop --.*add-bos"):
        kind(data="demo", add_bos="every").calibration_set(Plain())
    assert kind(data="demo", samples=2).calibration_set(Plain())


def test_a_window_too_short_for_more_than_its_beginning_is_refused(demo_tokenizer):
    two = putting(demo_tokenizer, before=[demo_tokenizer.bos_token] * 2)
    with pytest.raises(ConfigError, match=r"--ppl\.length 2: expected more, as each sequence"):
        Perplexity(data="demo", samples=1, length=2).calibration_set(two)
