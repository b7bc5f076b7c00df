"""The kernel of attention: chosen by the user, or by config.json and transformers."""

import json

import pytest

import prunekit
from prunekit.core import CheckpointError
from prunekit.engine.config import parse

QUICK = {"searcher": "one-shot", "budget": 2, "ppl": {"data": "demo", "samples": 2, "length": 24}}


@pytest.fixture
def flash(tiny_model, tmp_path):
    """A model whose config.json asks for a kernel that is not installed."""
    import shutil

    folder = tmp_path / "flash"
    shutil.copytree(tiny_model(), folder)
    config = json.loads((folder / "config.json").read_text())
    config["attn_implementation"] = "flash_attention_2"
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_kernel_that_is_not_installed_can_be_replaced(flash, tmp_path):
    work = tmp_path / "work"
    with pytest.raises(CheckpointError, match="choose another with --attention sdpa"):
        prunekit.search(str(flash), workdir=work, **QUICK)
    result = prunekit.search(
        str(flash), workdir=work, attention="eager", save=tmp_path / "pruned", **QUICK
    )
    assert len(result.removed) == 2
    written = json.loads((tmp_path / "pruned" / "config.json").read_text())
    assert written["attn_implementation"] == "flash_attention_2"  # as the original says
    prunekit.export(str(flash), remove=[1], to=tmp_path / "other", attention="sdpa")


def test_kernels_do_not_share_measurements(tiny_model, tmp_path):
    for kernel in ("eager", "sdpa"):
        prunekit.search(str(tiny_model()), workdir=tmp_path, attention=kernel, finalists=0, **QUICK)
    heads = [path.read_text().splitlines()[0] for path in tmp_path.glob("journals/*/*.jsonl")]
    assert len(heads) == 2
    assert {kernel for kernel in ("eager", "sdpa") for head in heads if f'"{kernel}"' in head} == {
        "eager",
        "sdpa",
    }


def test_a_search_that_leaves_it_open_is_named_as_before(registry):
    words = {"model": "demo", "budget": 3}
    plain, chosen = (parse({**words, **more}, registry) for more in ({}, {"attention": "eager"}))
    assert "attention" not in plain.as_dict()
    assert chosen.as_dict()["attention"] == "eager"
    assert parse({**words, "attention": "auto"}, registry).digest() == plain.digest()
