"""What was found out about a model is remembered, and counts only as long as it is certain."""

import dataclasses
import json
import os
import shutil
import time

import pytest
from safetensors.torch import load_file, save_file

from prunekit.core.errors import StorageError
from prunekit.core.spec import Spec
from prunekit.engine.known import forget_proofs, load_known, recall
from prunekit.hf import identity
from prunekit.hf.checkpoint import find
from prunekit.hf.loading import load_adapter


@pytest.fixture
def proved(monkeypatch):
    """The adapters that were proved."""
    proofs = []
    monkeypatch.setattr("prunekit.hf.loading.prove", proofs.append)
    return proofs


@pytest.fixture
def spec(tiny_model, tmp_path):
    """A model in float32 whose files are an hour old."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model(), folder)
    return Spec(str(folder), device="cpu", dtype="float32")


@pytest.fixture
def hour_later(monkeypatch):
    """No file was changed a moment ago."""
    now = time.time_ns() + 3600 * 10**9
    monkeypatch.setattr("prunekit.hf.checkpoint.time.time_ns", lambda: now)


def test_a_model_is_proved_once(spec, registry, proved, tmp_path):
    for _ in range(3):
        load_known(spec, tmp_path, registry)
    assert len(proved) == 1


def test_without_a_folder_to_remember_it_a_model_is_proved_every_time(spec, registry, proved):
    load_adapter(spec, registry)
    load_adapter(spec, registry)
    assert len(proved) == 2


def test_a_model_that_fails_the_proof_is_not_remembered(spec, registry, tmp_path, monkeypatch):
    def fail(adapter):
        raise StorageError("no proof")

    monkeypatch.setattr("prunekit.hf.loading.prove", fail)
    for _ in range(2):
        with pytest.raises(StorageError, match="no proof"):
            load_known(spec, tmp_path, registry)


@pytest.mark.parametrize(
    "other", [{"dtype": "bfloat16"}, {"attention": "eager"}, {"adapter": "hf-decoder"}]
)
def test_a_proof_counts_for_its_dtype_attention_and_adapter_only(
    spec, registry, proved, tmp_path, other
):
    load_known(spec, tmp_path, registry)
    load_known(dataclasses.replace(spec, **other), tmp_path, registry)
    assert len(proved) == 2


def test_other_weights_are_proved_again_even_at_the_same_place(
    spec, registry, proved, tmp_path, hour_later
):
    load_known(spec, tmp_path, registry)
    (file,) = find(spec, registry).weight_files()
    tensors = {name: tensor + 1 for name, tensor in load_file(file).items()}
    save_file(tensors, file, metadata={"format": "pt"})
    changed = load_known(spec, tmp_path, registry)
    assert len(proved) == 2
    assert changed.facts.fingerprint["weights"] == find(spec, registry).identity()


def test_another_code_of_the_adapter_is_proved_again(spec, registry, proved, tmp_path, monkeypatch):
    load_known(spec, tmp_path, registry)
    monkeypatch.setattr("prunekit.hf.proof.digest_of_code", lambda cls: f"edited {cls.__name__}")
    load_known(spec, tmp_path, registry)
    assert len(proved) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"schema": 2}'])
def test_a_damaged_record_does_not_count(spec, registry, proved, tmp_path, content):
    load_known(spec, tmp_path, registry)
    for path in (tmp_path / "models").iterdir():
        path.write_text(content)
    load_known(spec, tmp_path, registry)
    load_known(spec, tmp_path, registry)
    assert len(proved) == 2


def test_a_record_that_was_changed_does_not_count(spec, registry, tmp_path, hour_later):
    load_known(spec, tmp_path, registry)
    (path,) = (tmp_path / "models").glob("identity-*.json")
    row = json.loads(path.read_text())
    path.write_text(json.dumps({**row, "identity": "0" * len(row["identity"])}))
    assert recall(spec, tmp_path).known.identities == {}


def test_weights_that_are_known_are_not_read_to_identify_them(
    spec, registry, proved, tmp_path, hour_later, monkeypatch
):
    weights = load_known(spec, tmp_path, registry).facts.fingerprint["weights"]
    monkeypatch.setattr("prunekit.hf.checkpoint.digest_of", None)
    assert find(recall(spec, tmp_path), registry).identity() == weights


def test_files_changed_a_moment_ago_are_not_told_by_their_times(tmp_path):
    path = tmp_path / "a"
    path.write_text("a")
    changed = max(os.stat(path).st_mtime_ns, os.stat(path).st_ctime_ns)
    assert not identity.stamp_of([path], changed + identity.TICK_NS - 1)
    assert identity.stamp_of([path], changed + identity.TICK_NS)


def test_proofs_are_forgotten_on_demand(spec, registry, proved, tmp_path):
    load_known(spec, tmp_path, registry)
    forget_proofs(tmp_path)
    load_known(spec, tmp_path, registry)
    assert len(proved) == 2


def test_a_model_that_is_only_timed_needs_no_proof_and_has_none(spec, registry, proved):
    known = dataclasses.replace(spec.known, only_timed=True)
    adapter = load_adapter(dataclasses.replace(spec, known=known), registry)
    assert not proved
    assert not adapter.facts.proof


def test_a_folder_that_cannot_be_written_is_no_obstacle(spec, registry, proved, tmp_path):
    (tmp_path / "models").write_text("a file where the folder would be")
    load_known(spec, tmp_path, registry)
    load_known(spec, tmp_path, registry)
    assert len(proved) == 2
