"""What a run's files say about its repair: damaged, swapped or empty."""

import json
from pathlib import Path

import pytest
import torch

import prunekit
from prunekit.core import ConfigError
from prunekit.core.spec import Spec
from prunekit.hf.loading import load_adapter
from prunekit.hf.patch_file import StoredPatches


def test_damaged_patches_are_refused(repaired, quick, tmp_path):
    result = repaired("magnitude")
    path = Path(result.run) / "repair.safetensors"
    for content in (b"", b"not a file of tensors", path.read_bytes()[:-9]):
        path.write_bytes(content)
        with pytest.raises(
            ConfigError, match="expected the patches of a run, but it .*search again"
        ):
            prunekit.export(run=result.run, workdir=quick["workdir"], to=tmp_path / "x")
    path.unlink()
    with pytest.raises(ConfigError, match="expected the patches of a run, but it .*search again"):
        prunekit.export(run=result.run, workdir=quick["workdir"], to=tmp_path / "x")


def test_the_patches_of_another_run_are_refused(repaired, quick, tmp_path):
    one, other = repaired("magnitude"), repaired("magnitude", budget=2)
    path = Path(one.run) / "repair.safetensors"
    path.write_bytes((Path(other.run) / "repair.safetensors").read_bytes())
    with pytest.raises(ConfigError, match="it is not the file that the search wrote; search again"):
        prunekit.evaluate(run=one.run, workdir=quick["workdir"], ppl="demo")


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        ({"3-4.scale": torch.tensor(0.0)}, "must give scales from 0.5 on"),
        ({"3-4.scale": torch.tensor(1.0), "3-4.matrix": torch.ones(32, 2)}, "matrices of .32, 32"),
        ({"3-4.matrix": torch.ones(32, 32)}, "something else .KeyError"),
        ({"weights": torch.ones(2)}, "something else .ValueError"),
    ],
)
def test_a_file_with_something_else_is_refused(tiny_model, tmp_path, tensors, why):
    """Even if a result was edited to have its digest."""
    from safetensors.torch import save

    from prunekit.hf.patch_file import digest_of_patches

    path = tmp_path / "repair.safetensors"
    path.write_bytes(save(tensors))
    stored = StoredPatches.at(path, digest_of_patches(path.read_bytes()))
    spec = Spec(str(tiny_model("llama3")), dtype="float32", repairing=stored)
    with pytest.raises(ConfigError, match=why):
        load_adapter(spec)


def test_a_result_without_the_repair_of_its_configuration_is_refused(repaired, quick, tmp_path):
    result = repaired("magnitude")
    path = Path(result.run) / "result.json"
    row = json.loads(path.read_text())
    for repair in (None, {**row["repair"], "name": "least-squares"}):
        path.write_text(json.dumps({**row, "repair": repair}))
        with pytest.raises(ConfigError, match="name different repairs; search again"):
            prunekit.export(run=result.run, workdir=quick["workdir"], to=tmp_path / "x")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("digest", 5, "repair.digest cannot be 5"),
        ("bare", None, "repair.bare cannot be None"),
        ("cuts", [[3, 8]], r"repair.cuts cannot hold \[3, 8\], as blocks .* are removed"),
        ("fitted", -1, "repair.fitted cannot be -1"),
    ],
)
def test_a_damaged_record_of_a_repair_is_named(repaired, quick, tmp_path, key, value, message):
    result = repaired("magnitude")
    path = Path(result.run) / "result.json"
    row = json.loads(path.read_text())
    path.write_text(json.dumps({**row, "repair": {**row["repair"], key: value}}))
    with pytest.raises(ConfigError, match=message):
        prunekit.export(run=result.run, workdir=quick["workdir"], to=tmp_path / "x")


def test_a_choice_without_a_cut_to_patch_is_exported_bare(repaired, quick, tmp_path):
    """Before the first block there is no weight that could hold a patch."""
    words = {"budget": 1, "protect": "1,2,3,4,5,6,7"}
    result = repaired("magnitude", **words)
    assert (result.removed, result.repair.cuts) == ((0,), ())
    to = prunekit.export(run=result.run, workdir=quick["workdir"], to=tmp_path / "pruned")
    assert json.loads((to / "prunekit.json").read_text())["removed"] == [0]
