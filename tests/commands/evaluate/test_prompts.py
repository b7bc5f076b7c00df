"""Prompts that both models continue: what they write, and what is refused in one line."""

import copy
import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import prunekit
from prunekit.core import ConfigError
from prunekit.core.errors import Remark
from prunekit.plugins.commands.evaluate.comparison import Continuation, EvaluationResult
from prunekit.plugins.commands.evaluate.printing import show_evaluation
from prunekit.plugins.commands.evaluate.prompts import Prompts, tokens_of

TEMPLATE = (
    "{% for turn in messages %}<{{ turn.role }}> {{ turn.content }} {% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


class Config(SimpleNamespace):
    def get_text_config(self):
        return self


CONFIG = Config(vocab_size=10**6, max_position_embeddings=32)


@pytest.fixture
def write(tmp_path):
    def write(text, name="prompts.txt"):
        path = tmp_path / name
        path.write_text(
            text if isinstance(text, str) else "".join(f"{json.dumps(r)}\n" for r in text)
        )
        return str(path)

    return write


@pytest.fixture
def chatty(demo_tokenizer):
    tokenizer = copy.deepcopy(demo_tokenizer)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


@torch.no_grad()
def likeliest(folder, prompt, steps):
    """By the book: the likeliest next token of the whole text so far, without a cache."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = start = tokenizer(prompt).input_ids
    for _ in range(steps):
        token = model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax().item()
        if token == tokenizer.eos_token_id:
            break
        ids = [*ids, token]
    return tokenizer.decode(ids[len(start) :], skip_special_tokens=True)


def test_both_models_write_the_likeliest_tokens_whatever_their_settings_are(
    tiny_model, tmp_path, write
):
    model = shutil.copytree(tiny_model("qwen3"), tmp_path / "model")
    settings = {"eos_token_id": 0, "do_sample": True, "repetition_penalty": 5.0}
    (model / "generation_config.json").write_text(json.dumps(settings))
    prompts = ["Once upon a time", "The king"]
    result = prunekit.evaluate(
        str(model),
        remove=[1, 4],
        prompts=write("\n".join(prompts) + "\n"),
        new_tokens=7,
        workdir=tmp_path / "work",
        dtype="float32",
    )
    pruned = prunekit.export(str(model), remove=[1, 4], to=tmp_path / "pruned")
    assert (result.perplexities, result.tasks) == ({}, {})
    assert result.continuations == tuple(
        Continuation(text, text, likeliest(model, text, 7), likeliest(pruned, text, 7))
        for text in prompts
    )
    alone = prunekit.evaluate(
        str(pruned), prompts=write("The king"), new_tokens=7, workdir=tmp_path, dtype="float32"
    )
    assert alone.continuations == result.continuations[1:]


def test_the_chat_template_is_used_where_there_is_one(write, chatty, demo_tokenizer):
    given = write("Hello there\n")
    (chat,) = tokens_of(Prompts(given, 4), chatty, CONFIG)
    assert (chat.prompt, chat.rendered) == ("Hello there", "<user> Hello there <assistant>")
    assert chat.ids.tolist() == [chatty(chat.rendered, add_special_tokens=False).input_ids]
    for tokenizer, plain in ((chatty, True), (demo_tokenizer, False)):
        (text,) = tokens_of(Prompts(given, 4, plain), tokenizer, CONFIG)
        assert text.rendered == "Hello there"


def test_rows_hold_prompts_or_chats(write, chatty):
    turns = [("user", "Hi"), ("assistant", "Yes"), ("user", "So?")]
    messages = [{"role": role, "content": content} for role, content in turns]
    chats = write([{"messages": messages}], "chats.jsonl")
    (chat,) = tokens_of(Prompts(chats, 4, plain=True), chatty, CONFIG)
    assert chat.prompt == "So?"
    assert chat.rendered == "<user> Hi <assistant> Yes <user> So? <assistant>"
    rows = write([{"prompt": "One\ntwo"}, {"prompt": "Three"}], "rows.jsonl")
    assert Prompts(rows).documents == ["One\ntwo", "Three"]
    assert len(Prompts("demo").documents) == 3


def test_empty_lines_are_skipped_with_one_remark(write):
    with pytest.warns(Remark, match="1 of 3 rows holds no text and is skipped"):
        assert Prompts(write("one\n\ntwo\n")).documents == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("\n \n", "a.txt", "none of its 2 rows holds text"),
        ("", "a.txt", "the file is empty"),
        ("x", "a.pdf", "expected demo or a file that ends in .txt"),
        ([{"question": "Who?"}], "a.jsonl", "column `prompt`, found question; name it `prompt`"),
        ([{"prompt": 3}], "a.jsonl", "expected text in the column `prompt`, got 3"),
        ([{"messages": ["Hi"]}], "a.jsonl", "expected messages with a text as `role`"),
        ('{"prompt": ', "a.jsonl", "cannot be read: line 1"),
    ],
)
def test_a_file_that_holds_no_prompts_is_refused(write, text, name, message):
    with pytest.raises(ConfigError, match=message):
        Prompts(write(text, name)).check()


def test_a_prompt_that_cannot_be_continued_is_refused(write, demo_tokenizer, chatty):
    long = write("short\n" + "Once upon a time " * 20)
    with pytest.raises(ConfigError, match=r"prompt 2 of .* has \d+ tokens, and 4 .* holds 32"):
        tokens_of(Prompts(long, 4), demo_tokenizer, CONFIG)
    chats = write([{"messages": [{"role": "user", "content": "Hi"}]}], "chats.jsonl")
    with pytest.raises(ConfigError, match="this model's tokenizer has none"):
        tokens_of(Prompts(chats, 4), demo_tokenizer, CONFIG)
    chatty.chat_template = "{{ raise_exception('no') }}"
    with pytest.raises(ConfigError, match="chat template refuses"):
        tokens_of(Prompts(write("Hi"), 4), chatty, CONFIG)
    with pytest.raises(ConfigError, match="expected a number from 1, got 0"):
        Prompts("demo", 0)


@pytest.mark.parametrize("baseline", ["", "other"])
def test_texts_stand_side_by_side_in_80_columns(capsys, monkeypatch, baseline):
    monkeypatch.setenv("COLUMNS", "80")
    texts = "so it goes\non " * 20, ""
    shown = Continuation("Tell me " * 100, "", *texts)
    result = EvaluationResult("m", (1,), {}, {}, {}, {}, baseline=baseline, continuations=(shown,))
    show_evaluation(result)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    heads = next(line.split() for line in lines if len(line.split()) == 2 and ">" not in line)
    assert heads == (["baseline", "model"] if baseline else ["dense", "pruned"])
    assert any("so it goes on so it" in line and "(nothing)" in line for line in lines)
    assert any(line.rstrip().endswith("...") for line in lines)
