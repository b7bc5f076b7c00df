"""Messages for models that cannot be found or read."""

import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from prunekit.core import CheckpointError
from prunekit.hf.checkpoint import Checkpoint, context_length, readable


def named(name, cause=None):
    error = type(name, (Exception,), {})("first line\nsecond line")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (named("GatedRepoError"), "ask for access on its page, then run `hf auth login`"),
        (OSError("x"), "cannot be loaded: OSError: x"),
        (named("OSError", named("GatedRepoError")), "a gated model"),
        (named("OSError", named("RepositoryNotFoundError")), "not on the hub under this name"),
        (named("OSError", named("LocalEntryNotFoundError")), "`hf download some/model`"),
        (ValueError("please pass trust_remote_code=True"), "then add --trust-remote-code"),
    ],
)
def test_every_failure_has_its_next_step(error, advice):
    with pytest.raises(CheckpointError) as caught, readable(Checkpoint("some/model")):
        raise error
    assert str(caught.value).startswith("some/model: ")
    assert advice in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_from_the_hub_is_known_by_its_commit(tiny_model, tmp_path, monkeypatch):
    """A cache as the hub's client lays it out, and no network."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "models--some--model" / "snapshots" / commit
    shutil.copytree(tiny_model(), snapshot)
    refs = tmp_path / "models--some--model" / "refs"
    refs.mkdir()
    (refs / "main").write_text(commit)
    code = (
        "from prunekit.hf.checkpoint import Checkpoint\n"
        "from prunekit.core.interfaces import Spec\n"
        "from prunekit.hf.loading import load_adapter\n"
        "from prunekit.core.registry import load\n"
        "adapter = load_adapter(Spec('some/model', device='cpu'), load())\n"
        "print(adapter.facts.fingerprint['weights'])\n"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == f"some/model@{commit}", done.stderr


@pytest.mark.parametrize(
    ("text", "limit"),
    [({"max_position_embeddings": 64}, 64), ({"max_position_embeddings": -1}, None), ({}, None)],
)
def test_a_context_has_a_limit_only_where_the_configuration_sets_one(text, limit):
    config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(**text))
    assert context_length(config) == limit
