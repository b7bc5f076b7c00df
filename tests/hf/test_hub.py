"""A model from the hub, out of a cache as its client lays one out, without a network."""

import json
import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import prunekit
from prunekit.core.errors import CheckpointError
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.hf.checkpoint import Checkpoint, find
from prunekit.hf.files import fetch

COMMIT = "0123456789abcdef0123456789abcdef01234567"
INDEX = "model.safetensors.index.json"


@pytest.fixture
def cached(tiny_model, tmp_path, monkeypatch):
    """The snapshot of `some/model`: links to blobs that are called by their digests."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    fetch.cache_clear()
    home = tmp_path / "models--some--model"
    snapshot = home / "snapshots" / COMMIT
    for folder in (snapshot, home / "blobs", home / "refs"):
        folder.mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    for number, path in enumerate(sorted(tiny_model().iterdir())):
        shutil.copy(path, home / "blobs" / f"{number:040}")
        (snapshot / path.name).symlink_to(f"../../blobs/{number:040}")
    yield snapshot
    fetch.cache_clear()


def replaced(path, text):
    path.unlink(missing_ok=True)
    path.write_text(text)


def test_heads_dtype_and_identity_are_read_from_the_cache(cached, tiny_model):
    checkpoint = Checkpoint("some/model")
    assert checkpoint.folder() == cached
    assert checkpoint.tensors().keys() == Checkpoint(str(tiny_model())).tensors().keys()
    assert checkpoint.dtype() is torch.float32
    assert checkpoint.identity() == f"some/model@{COMMIT}"


def test_what_is_loaded_is_pinned_to_the_commit_that_was_looked_through(cached):
    assert Checkpoint("some/model", "main").opened() == Checkpoint("some/model", COMMIT)


def test_the_dtype_of_the_files_wins_over_that_of_the_configuration(cached):
    told = json.loads((cached / "config.json").read_text())
    replaced(cached / "config.json", json.dumps({**told, "dtype": "bfloat16"}))
    assert Checkpoint("some/model").dtype() is torch.float32


def test_an_index_on_the_hub_cannot_leave_the_snapshot(cached):
    (cached / "model.safetensors").unlink()
    told = {"metadata": {}, "weight_map": {"a": "../../blobs/x.safetensors"}}
    (cached / INDEX).write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match=r"names '../../blobs/x.safetensors'; expected"):
        Checkpoint("some/model").tensors()


def test_an_adapter_on_the_hub_is_refused(cached):
    (cached / "adapter_config.json").write_text('{"base_model_name_or_path": "some/base"}')
    with pytest.raises(CheckpointError, match="holds an adapter of 'some/base'"):
        find(Spec("some/model"), load()).config()


def test_quantised_weights_on_the_hub_are_refused_without_fetching_them(cached):
    (cached / "model.safetensors").unlink()
    replaced(cached / "config.json", '{"quantization_config": {"quant_method": "gptq"}}')
    with pytest.raises(CheckpointError, match="is quantised \\('gptq'"):
        find(Spec("some/model"), load()).config()


def test_the_configuration_is_read_before_the_weights_are_there(cached):
    (cached / "model.safetensors").unlink()
    assert Checkpoint("some/model").config().num_hidden_layers == 8
    with pytest.raises(CheckpointError, match="local cache as safetensors; run `hf download some/"):
        Checkpoint("some/model").tensors()


def test_a_shard_that_was_not_fetched_is_named(cached):
    tensors = load_file(cached / "model.safetensors")
    (cached / "model.safetensors").unlink()
    save_file(tensors, cached / "model-00001-of-00002.safetensors")
    names = dict.fromkeys(tensors, "model-00001-of-00002.safetensors")
    told = {"metadata": {}, "weight_map": {**names, "z": "model-00002-of-00002.safetensors"}}
    (cached / INDEX).write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match="model-00002-of-00002.safetensors, which is missing"):
        Checkpoint("some/model").tensors()


def test_a_recipe_needs_no_weights_and_leaves_their_dtype_to_them(cached, tmp_path):
    """The configuration may be wrong about it, and mergekit casts only on request."""
    (cached / "model.safetensors").unlink()
    given = {"remove": [1], "to": tmp_path / "a.yaml", "format": "mergekit"}
    recipe = yaml.safe_load(prunekit.export("some/model", **given).read_text())
    assert recipe["slices"][0]["sources"][0]["model"] == "some/model"
    assert "dtype" not in recipe
