"""A run knows by which tokenizer its blocks were chosen, and is not used with another."""

import json
import shutil
from pathlib import Path

import pytest

import prunekit
from prunekit.core import ConfigError


@pytest.fixture
def searched(tiny_model, tmp_path):
    """A model's folder, a run of it, and what can be done with that."""
    model = shutil.copytree(tiny_model(), tmp_path / "model")
    search = {"searcher": "one-shot", "ppl": {"data": "demo", "samples": 2, "length": 24}}
    run = Path(prunekit.search(str(model), **search, workdir=tmp_path / "work").run)
    export = {"run": run, "workdir": tmp_path / "work"}
    return model, run, lambda to, **more: prunekit.export(**export, to=tmp_path / to, **more)


def change(model, name):
    path = model / name
    path.write_text(path.read_text() + "\n" if path.exists() else "x")


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "added_tokens.json"])
def test_a_changed_tokenizer_is_refused_like_changed_weights(searched, tmp_path, name):
    model, run, export = searched
    change(model, name)
    line = "no longer the model that was searched: its tokenizer has changed; search again, or name"
    for write in (export, lambda to: export(to, format="llama.cpp")):
        with pytest.raises(ConfigError, match=line):
            write("out")
    with pytest.raises(ConfigError, match=line):
        prunekit.evaluate(run=run, ppl="demo", workdir=tmp_path / "work")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["chat_template.jinja", "generation_config.json", "README.md"])
def test_what_encodes_no_text_may_change(searched, name):
    model, _, export = searched
    change(model, name)
    assert export("out").is_dir()


def test_a_result_of_before_says_nothing_of_it_and_is_taken(searched):
    model, run, export = searched
    row = json.loads((run / "result.json").read_text())
    del row["tokenizer"]
    (run / "result.json").write_text(json.dumps(row))
    change(model, "tokenizer.json")
    assert export("out").is_dir()
