"""Texts and chats in the rows of files, and rows that hold none."""

import copy
import json
import warnings

import pytest

from prunekit.core import ConfigError
from prunekit.core.errors import Remark
from prunekit.hf import documents_of_rows, file_rows, rendered

HELLO = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day"}]
TEMPLATE = "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"


def documents(folder, lines, **how):
    path = folder / "a.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return documents_of_rows(file_rows(path, "demo"), "a.jsonl", **how)


def row(**columns):
    return json.dumps(columns)


@pytest.fixture
def chatty(llama_like):
    """A tokenizer that puts a token before a text, as does its chat template."""
    tokenizer = copy.deepcopy(llama_like)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def test_rows_without_text_are_skipped_with_one_remark(tmp_path):
    none = ["null", "{}", "", row(text=None), row(text=""), row(text=" \n"), '{"text": NaN}']
    with pytest.warns(Remark, match="^data 'a.jsonl': 6 of 8 rows hold no text and are skipped$"):
        assert documents(tmp_path, [*none, row(text="a"), row(text="b", n=1)]) == ["a", "b"]
    with pytest.warns(Remark, match="1 of 2 rows holds no text and is skipped"):
        documents(tmp_path, ["null", row(text="a")])


def test_nothing_is_said_where_all_hold_text(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert documents(tmp_path, ["", row(text="a"), ""]) == ["a"]


def test_a_file_without_any_text_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="'a.jsonl': none of its 2 rows holds text"):
        documents(tmp_path, ["null", row(text=None)])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (row(body="a"), "expected text in a column `text`, found body; rename it to `text`"),
        (row(**{"a\nb": "a"}), r"expected text in a column `text`, found a\\nb; rename"),
        (row(text=5), "got 5; fix or drop the row"),
        (f'{{"text": {10**400}}}', "got 1000.*; fix or drop the row"),
        (row(text={"a": "b"}), "fix or drop the row"),
        (row(text=["a"]), "expected messages with a text as `role` and as `content`, got 'a'"),
        (row(messages=[{"role": "user"}]), "expected messages with"),
        (row(messages=[{"role": "user", "content": ["a"]}]), "expected messages with"),
    ],
)
def test_the_line_of_the_file_names_a_row_that_holds_something_else(tmp_path, line, message):
    with pytest.raises(ConfigError, match=f"^data 'a.jsonl', line 3: .*{message}") as caught:
        documents(tmp_path, [row(text="a"), "", line])
    assert len(str(caught.value)) < 300


def test_another_column_may_hold_the_text(tmp_path):
    assert documents(tmp_path, [row(body="a", text="b")], column="body") == ["a"]


def test_a_chat_is_written_by_the_template_of_the_tokenizer(tmp_path, chatty):
    found = documents(tmp_path, [row(messages=HELLO), row(text="plain", messages=HELLO)])
    chat, plain = rendered(found, chatty, [], "a.jsonl")
    assert chat == f"{chatty.bos_token}[user] Hello\n[assistant] Good day\n"
    assert plain == "plain"
    assert documents(tmp_path, [row(turns=HELLO)], column="turns")[0].messages == HELLO


def test_a_chat_has_no_second_token_at_its_beginning(tmp_path, chatty):
    found = documents(tmp_path, [row(messages=HELLO)] * 3)
    with pytest.warns(Remark) as remarks:
        texts = list(rendered(found, chatty, [chatty.bos_token_id], "a.jsonl"))
    assert texts == ["[user] Hello\n[assistant] Good day\n"] * 3
    (remark,) = remarks
    assert str(remark.message) == (
        f"data 'a.jsonl': texts begin with {chatty.bos_token}; it is left out there, as every "
        "window has it"
    )


def test_nor_has_a_text_that_was_rendered_before(chatty):
    bos = chatty.bos_token
    with pytest.warns(Remark, match="it is left out there"):
        assert list(rendered([f"{bos}a {bos}"], chatty, [chatty.bos_token_id], "a")) == [f"a {bos}"]
    assert list(rendered([f"{bos}a"], chatty, [], "a")) == [f"{bos}a"]


def test_a_tokenizer_without_a_template_refuses_chats(tmp_path, demo_tokenizer):
    tokenizer = copy.deepcopy(demo_tokenizer)
    tokenizer.chat_template = None
    found = documents(tmp_path, [row(messages=HELLO)])
    with pytest.raises(ConfigError, match="line 1: its messages need a chat template, but"):
        list(rendered(found, tokenizer, [], "a.jsonl"))


@pytest.mark.parametrize(
    "template", ["{{ raise_exception('no system turn') }}", "{% for %}", "{{ a.b.c }}"]
)
def test_a_template_that_fails_is_one_line_about_the_row(tmp_path, demo_tokenizer, template):
    tokenizer = copy.deepcopy(demo_tokenizer)
    tokenizer.chat_template = template
    found = documents(tmp_path, [row(messages=HELLO)])
    with pytest.raises(ConfigError, match="line 1: the tokenizer's chat template refuses"):
        list(rendered(found, tokenizer, [], "a.jsonl"))
