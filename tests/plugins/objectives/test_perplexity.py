"""The perplexity objective: what it reads, how it cuts, what it counts."""

import json
import math

import pytest
import torch

from prunekit.core import IGNORE, ConfigError
from prunekit.hf.tokens import batches_of
from prunekit.plugins.objectives.perplexity import Perplexity
from prunekit.plugins.objectives.rows import demo_rows


class UniformOutput:
    """Predicts every one of four words alike."""

    def token_logprobs(self, targets):
        return torch.where(targets == IGNORE, 0.0, -math.log(4))


def rows(objective, tokenizer):
    return [sample["input_ids"][0].tolist() for sample in objective.calibration_set(tokenizer)]


def write(folder, texts, name="texts.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return str(path)


def test_a_uniform_model_has_the_loss_of_its_vocabulary(demo_tokenizer):
    objective = Perplexity(data="demo", samples=3, length=10)
    (batch,) = batches_of(objective.calibration_set(demo_tokenizer), 1000)
    sums, weights = objective.measure(UniformOutput(), batch)
    assert sums.tolist() == pytest.approx([9 * math.log(4)] * 3)
    assert weights.tolist() == [9, 9, 9]
    assert objective.readings(math.log(4))["perplexity"] == pytest.approx(4)


def test_every_token_is_predicted_from_the_one_before(demo_tokenizer):
    (sample, *_) = Perplexity(data="demo", samples=1, length=6).calibration_set(demo_tokenizer)
    ids, targets = sample["input_ids"][0].tolist(), sample["targets"][0].tolist()
    assert targets == [*ids[1:], IGNORE]


def test_demo_data_brings_its_own_size(demo_tokenizer):
    found = rows(Perplexity(data="demo"), demo_tokenizer)
    assert {len(row) for row in found} == {128}
    assert len(found) == 32


def test_draws_of_the_demo_are_disjoint(demo_tokenizer):
    passages = {row["text"]: i for i, row in enumerate(demo_rows("calibration-passages"))}
    used = []
    for seed in range(4):
        for row in rows(Perplexity(data="demo", seed=seed), demo_tokenizer):
            text = demo_tokenizer.decode(row)
            used.append(
                next(i for passage, i in passages.items() if text.strip("\ufffd") in passage)
            )
    assert len(set(used)) == len(used) == 128


@pytest.mark.parametrize("ending", ["jsonl", "txt", "parquet"])
def test_local_files(tmp_path, demo_tokenizer, ending):
    text = "Once upon a time there was a king who had three daughters. " * 20
    path = tmp_path / f"texts.{ending}"
    if ending == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table({"text": [text, text]}), path)
    else:
        path.write_text(text if ending == "txt" else json.dumps({"text": text}))
    found = rows(Perplexity(data=str(path), samples=1, length=50), demo_tokenizer)
    assert demo_tokenizer.decode(found[0]) in text


def test_windows_of_documents_start_at_random_places(tmp_path, demo_tokenizer):
    text = " ".join(str(n) for n in range(2000))
    data = write(tmp_path, [text] * 8)
    starts = {
        tuple(row[:5]) for row in rows(Perplexity(data=data, samples=8, length=20), demo_tokenizer)
    }
    assert len(starts) > 4


def test_documents_too_short_for_a_window_are_passed_over(tmp_path, demo_tokenizer):
    data = write(tmp_path, ["Short."] * 5 + ["A long one, " * 30] * 2)
    assert len(rows(Perplexity(data=data, samples=2, length=40), demo_tokenizer)) == 2


def test_a_stream_joins_all_documents_and_cuts_them_one_after_the_other(tmp_path, demo_tokenizer):
    data = write(tmp_path, ["The king had a horse."] * 30)
    found = rows(Perplexity(data=data, samples=4, length=12, packing="stream"), demo_tokenizer)
    joined = demo_tokenizer("\n\n".join(["The king had a horse."] * 30)).input_ids
    assert [i for row in found for i in row] == joined[:48]


def test_draws_of_a_text_file_follow_each_other(tmp_path, demo_tokenizer):
    path = tmp_path / "a.txt"
    path.write_text(" ".join(str(n) for n in range(3000)))
    whole = demo_tokenizer(path.read_text()).input_ids
    for seed in range(3):
        found = rows(Perplexity(data=str(path), samples=3, length=10, seed=seed), demo_tokenizer)
        assert [i for row in found for i in row] == whole[seed * 30 : seed * 30 + 30]


@pytest.mark.parametrize("packing", ["documents", "stream"])
def test_too_little_text_says_how_much_there_was(tmp_path, demo_tokenizer, packing):
    data = write(tmp_path, ["The king had a horse."] * 3)
    objective = Perplexity(data=data, samples=64, length=2048, packing=packing)
    with pytest.raises(
        ConfigError, match=r"tokens; 64 sequences of 2,048 tokens \(131,072 in all\)"
    ):
        objective.calibration_set(demo_tokenizer)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", b"", "the file is empty"),
        ("empty.jsonl", b"", "the file is empty"),
        ("broken.jsonl", b'{"text": "a"}\n{"text\n', "cannot be read"),
        (
            "other.jsonl",
            b'{"body": "a"}\n',
            "line 1: .* found body; name another with --ppl.column",
        ),
        (
            "number.jsonl",
            b'{"text": 5}\n',
            "line 1: .* in the column `text`, got 5; fix or drop the row",
        ),
        ("binary.txt", b"\x80\x81", "cannot be read: .* expected UTF-8 text"),
        ("broken.parquet", b"no parquet", "cannot be read"),
        ("texts.doc", b"x", "expected demo, c4, wikitext2 or a file that ends in"),
    ],
)
def test_a_file_that_cannot_serve_is_named(tmp_path, demo_tokenizer, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        Perplexity(data=str(tmp_path / name)).calibration_set(demo_tokenizer)


def test_a_draw_past_the_end_of_the_text_asks_for_an_earlier_one(tmp_path, demo_tokenizer):
    path = tmp_path / "a.txt"
    path.write_text(" ".join(str(n) for n in range(300)))
    objective = Perplexity(data=str(path), samples=3, length=10, seed=99)
    with pytest.raises(ConfigError, match=r"after 2,970 of earlier .* lower --ppl\.seed, --ppl\."):
        objective.calibration_set(demo_tokenizer)


def test_a_missing_file_is_named(demo_tokenizer):
    with pytest.raises(ConfigError, match="'nowhere.txt': no such file"):
        Perplexity(data="nowhere.txt").calibration_set(demo_tokenizer)


@pytest.mark.parametrize("name", ["c4", "wikitext2"])
def test_without_a_network_the_hub_is_an_error_that_offers_files(demo_tokenizer, name):
    with pytest.raises(
        ConfigError, match=r"cannot be fetched .* name a local file with --ppl\.data"
    ):
        Perplexity(data=name).calibration_set(demo_tokenizer)
