"""A dry run fails where the search itself could not begin."""

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
