"""A dry run fails where the search itself could not begin."""

import json
import re
import shutil

import pytest

COMMIT = "0123456789" * 4
QUICK = ["--searcher", "one-shot", "-k", "2", "--ppl.samples", "2", "--ppl.length", "24"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("12\n", "line 1 is a number, not an object"),
        ('{"body": "a"}\n', "found body"),
        ('{"text": "short"}\n', "packing stream"),
    ],
)
@pytest.mark.parametrize("how", [[], ["--json"], ["--quiet"]])
def test_data_that_cannot_be_read_end_it_with_their_error(
    tmp_path, prunekit, content, message, how
):
    (tmp_path / "a.jsonl").write_text(content)
    words = ["search", "--model", "demo", *QUICK, "--ppl.data", tmp_path / "a.jsonl"]
    status, out, err = prunekit(*words, "--dry-run", *how)
    assert status == 1
    assert out == ""
    assert message in err
    assert err.splitlines()[-1] == prunekit(*words, "--quiet")[2].strip()


def test_so_does_a_folder_without_a_tokenizer(tmp_path, prunekit, tiny_model):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model(), folder)
    for path in folder.glob("token*"):
        path.unlink()
    words = ["search", "--model", folder, *QUICK, "--ppl.data", "demo", "--dry-run"]
    status, _, err = prunekit(*words)
    assert status == 1
    assert "tokenizer" in err
    assert len(err.strip().splitlines()) == 1


@pytest.fixture
def on_the_hub(tiny_model, tmp_path, monkeypatch):
    """The name of a model whose files are in the cache of the hub, but for its weights."""
    from huggingface_hub import constants

    from prunekit.hf.files import fetch

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    fetch.cache_clear()
    home = tmp_path / "hub" / "models--some--model"
    shutil.copytree(
        tiny_model(), home / "snapshots" / COMMIT, ignore=shutil.ignore_patterns("*.safetensors")
    )
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    yield "some/model"
    fetch.cache_clear()


def test_weights_that_would_be_fetched_only_leave_the_time_unknown(prunekit, on_the_hub):
    words = ["search", "--model", on_the_hub, *QUICK, "--ppl.data", "demo", "--dry-run"]
    status, out, _ = prunekit(*words)
    assert status == 0
    assert "no estimate of the time: the weights would have to be fetched" in out
    assert re.search(
        r"then measures at most \d+ subsets, the finalists, on held-out samples\n", out
    )


def test_finalists_are_counted_on_top(prunekit, tiny_model):
    """Of 8 blocks 2 go: 10 subsets of 6 blocks and the dense model, on 8 times the samples."""
    from prunekit.core.registry import load

    rankings = [e for e in load().entries if e.kind == "searcher" and e.cls.one_pass]
    words = ["search", "--model", tiny_model("llama3", n_blocks=8), *QUICK]
    words += ["--ppl.data", "demo", "--dry-run"]
    row = json.loads(prunekit(*words, "--json")[1])
    finals = row["finalists"]
    subsets = 5 + len(rankings) + 1
    runs = 8 * ((subsets - 1) * 6 + 8)
    assert (finals["subsets"], finals["times"], finals["block_runs"]) == (subsets, 8, runs)
    assert finals["seconds"] > 0
    assert re.search(
        rf"then measures at most {subsets} subsets, the finalists, on held-out samples "
        rf"\(8 times as many\): {runs:,} block forwards, about \d+ s\n",
        prunekit(*words)[1],
    )
    without = json.loads(prunekit(*words, "--json", "--finalists", 0)[1])
    assert without["finalists"] is None
    assert without["cost"] == row["cost"]


def test_all_that_is_measured_on_held_out_samples_was_foretold(prunekit, tiny_model, tmp_path):
    model = tiny_model("llama3", n_blocks=8)
    words = ["search", "--model", model, *QUICK, "--ppl.data", "demo", "--json"]
    foretold = json.loads(prunekit(*words, "--dry-run")[1])["finalists"]
    held_out = json.loads(prunekit(*words)[1])["held_out"]
    assert len(held_out["finalists"]) + 1 <= foretold["subsets"]
    assert held_out["samples"] == 2 * foretold["times"]


@pytest.mark.parametrize(
    "how",
    [
        ["--searcher", "block-influence"],  # a ranking measures nothing to choose from
        ["--ppl.data", "demo", "--ppl.samples", "128", "--ppl.length", "8"],  # all of the data
    ],
)
def test_where_there_are_no_finalists_none_are_foretold(prunekit, tiny_model, how):
    words = ["search", "--model", tiny_model("llama3", n_blocks=8), *QUICK, "--ppl.data", "demo"]
    out = prunekit(*words, *how, "--dry-run")[1]
    assert "block forwards" in out
    assert "finalists" not in out
