"""Text for `ppl` and `kl` from tables, other columns and chats, and from short documents."""

import copy
import csv
import json

import pytest

from prunekit.core import ConfigError
from prunekit.core.errors import Remark
from prunekit.plugins.objectives.divergence import Divergence
from prunekit.plugins.objectives.perplexity import Perplexity

TEXT = "The king had a horse, and the horse had a king. "
CHAT = [{"role": "user", "content": TEXT * 4}, {"role": "assistant", "content": TEXT * 4}]
TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"


def write(folder, *rows, name="texts.jsonl"):
    path = folder / name
    if name.endswith(".csv"):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(path)


def windows(tokenizer, kind=Perplexity, **options):
    samples = kind(**{"samples": 3, "length": 20, **options}).calibration_set(tokenizer)
    return [sample["input_ids"][0].tolist() for sample in samples]


@pytest.mark.parametrize("kind", [Perplexity, Divergence])
@pytest.mark.parametrize("column", ["text", "body"])
def test_a_table_gives_the_windows_of_json_lines(tmp_path, demo_tokenizer, kind, column):
    rows = [{"n": n, column: f"{n} {TEXT * 5}"} for n in range(6)]
    given = {"column": column, "seed": 2, "kind": kind}
    found = windows(demo_tokenizer, data=write(tmp_path, *rows, name="texts.csv"), **given)
    assert found == windows(demo_tokenizer, data=write(tmp_path, *rows), **given)


@pytest.mark.parametrize("data", ["demo", "c4", "wikitext2", "a.txt"])
def test_only_files_with_columns_have_one_to_name(tmp_path, demo_tokenizer, data):
    if data == "a.txt":
        data = str(tmp_path / data)
        (tmp_path / "a.txt").write_text(TEXT)
    with pytest.raises(ConfigError, match=r"--ppl.column body: data .* has no columns to choose"):
        windows(demo_tokenizer, data=data, column="body")


def test_empty_rows_do_not_change_a_draw(tmp_path, demo_tokenizer):
    rows = [{"text": f"{n} {TEXT * 5}"} for n in range(6)]
    expected = windows(demo_tokenizer, data=write(tmp_path, *rows))
    with pytest.warns(Remark, match="3 of 9 rows hold no text and are skipped"):
        found = windows(demo_tokenizer, data=write(tmp_path, None, *rows, {}, {"text": None}))
    assert found == expected


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("packing", ["documents", "stream"])
def test_an_error_names_the_line_of_the_file_in_every_draw(tmp_path, demo_tokenizer, seed, packing):
    rows = [{"text": TEXT * 9}] * 6 + [{"text": 5}] + [{"text": TEXT * 9}] * 3
    with pytest.raises(ConfigError, match="texts.jsonl', line 7: expected text .* got 5;"):
        windows(demo_tokenizer, data=write(tmp_path, *rows), seed=seed, packing=packing)


@pytest.mark.parametrize(("how", "first"), [("auto", True), ("every", True), ("none", False)])
def test_a_chat_begins_with_one_token_of_beginning(tmp_path, llama_like, how, first):
    tokenizer = copy.deepcopy(llama_like)
    tokenizer.chat_template = TEMPLATE
    text = f"user: {TEXT * 4}\nassistant: {TEXT * 4}\n"
    plain = tokenizer(text, add_special_tokens=False).input_ids
    bos = [tokenizer.bos_token_id]
    size = {"samples": 1, "length": len(plain) + 1, "packing": "stream", "add_bos": how}
    data = write(tmp_path, {"messages": CHAT})
    if first:
        with pytest.warns(Remark, match="it is left out there, as every window has it"):
            (found,) = windows(tokenizer, data=data, **size)
    else:
        (found,) = windows(tokenizer, data=data, **size)
    assert found == bos + plain


def test_chats_need_a_template(tmp_path, demo_tokenizer):
    tokenizer = copy.deepcopy(demo_tokenizer)
    tokenizer.chat_template = None
    with pytest.raises(ConfigError, match="line 1: its messages need a chat template"):
        windows(tokenizer, data=write(tmp_path, {"messages": CHAT}))


@pytest.mark.parametrize(
    ("texts", "advice"),
    [
        ([TEXT] * 20, "lower --ppl.length, or join documents with --ppl.packing stream"),
        ([TEXT], "lower --ppl.length, or join documents with --ppl.packing stream"),
        (
            [TEXT] * 20 + [TEXT * 9],
            "lower --ppl.samples or --ppl.length, or join documents with --ppl.packing stream",
        ),
        ([TEXT * 4], "lower --ppl.samples or --ppl.length"),
    ],
)
def test_the_advice_on_short_documents_is_one_that_helps(tmp_path, demo_tokenizer, texts, advice):
    data = write(tmp_path, *({"text": text} for text in texts))
    with pytest.raises(ConfigError) as caught:
        windows(demo_tokenizer, data=data, length=30)
    assert str(caught.value).endswith(f"were requested: {advice}")
    if len(texts) > 1:
        assert len(windows(demo_tokenizer, data=data, length=30, packing="stream")) == 3
