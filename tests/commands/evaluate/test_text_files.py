"""Texts of an evaluation from files: empty rows, tables, chats, and what is no text at all."""

import copy
import json
import os
import warnings

import pytest

from prunekit.core import ConfigError
from prunekit.core.errors import Remark
from prunekit.plugins.commands.evaluate.config import EvalConfig
from prunekit.plugins.commands.evaluate.perplexity import cut
from prunekit.plugins.commands.evaluate.texts import check_documents, documents_of, protocols_of

CHAT = [{"role": "user", "content": "A king?"}, {"role": "assistant", "content": "A queen."}]
TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
HOLLOW = ['{"text": "a king"}', "null", '{"text": ""}', '{"text": "a queen"}']


def protocol(name, **how):
    (found,) = protocols_of(EvalConfig((str(name),), **how))
    return found


def write(folder, *lines, name="texts.jsonl"):
    (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder / name


def test_rows_without_text_are_skipped_and_counted_once(tmp_path):
    found = protocol(write(tmp_path, *HOLLOW))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_documents(found)
    with pytest.warns(Remark, match="2 of 4 rows hold no text and are skipped"):
        assert list(documents_of(found)) == ["a king", "a queen"]


def test_under_a_known_protocol_an_empty_row_counts_as_on_the_hub(tmp_path):
    found = protocol(f"wikitext2={write(tmp_path, *HOLLOW)}")
    with pytest.warns(Remark, match="1 of 4 rows holds no text and is skipped"):
        assert list(documents_of(found)) == ["a king", "", "a queen"]


def test_a_table_is_read_as_json_lines(tmp_path):
    table = protocol(write(tmp_path, "text,n", '"a ""king""",1', "a queen,2", name="a.csv"))
    assert list(documents_of(table)) == ['a "king"', "a queen"]


@pytest.mark.parametrize("how", ["auto", "tokenizer", "every", "none"])
def test_a_chat_is_rendered_and_begins_once(tmp_path, llama_like, how):
    tokenizer = copy.deepcopy(llama_like)
    tokenizer.chat_template = TEMPLATE
    plain = tokenizer("user: A king?\nassistant: A queen.\n", add_special_tokens=False).input_ids
    data = write(tmp_path, json.dumps({"messages": CHAT}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Remark)
        found = cut(protocol(data, ppl_bos=how), tokenizer, 1024)
    (row,) = [sample["input_ids"][0].tolist() for sample in found.samples]
    assert row == [tokenizer.bos_token_id, *plain]


def test_an_error_names_the_line_of_a_shuffled_file(tmp_path):
    lines = [*[json.dumps({"text": "a king " * 9})] * 5, '{"text": 5}']
    with pytest.raises(ConfigError, match="texts.jsonl', line 6: expected text .* got 5"):
        list(documents_of(protocol(f"c4={write(tmp_path, *lines)}")))


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "folder.csv").mkdir()
    for name in ("pipe.jsonl", "folder.csv"):
        with pytest.raises(ConfigError, match="expected a file, not a folder, pipe or device"):
            protocol(tmp_path / name)
    with pytest.raises(ConfigError, match="expected wikitext2, c4, .* or a file that ends in"):
        protocol(write(tmp_path, "text", name="a.doc"))
    with pytest.raises(ConfigError, match="^x+: no such protocol and no such file") as caught:
        protocol("x" * 5000)
    assert len(str(caught.value)) < 300
