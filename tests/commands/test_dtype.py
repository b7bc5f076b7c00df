"""The dtype is that of the files, whatever the configuration says of it."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import prunekit
from prunekit.core.errors import CheckpointError
from prunekit.core.spec import OWN_DTYPE, Spec
from prunekit.hf.checkpoint import Checkpoint
from prunekit.hf.loading import load_adapter
from prunekit.plugins.commands.study.jobs import memory_of


@pytest.fixture
def stored(tiny_model, tmp_path):
    """A model whose files are in one dtype, under a configuration that says another, or none."""

    def make(files, said):
        folder = tmp_path / "model"
        shutil.copytree(tiny_model(), folder)
        tensors = load_file(folder / "model.safetensors")
        tensors = {name: tensor.to(getattr(torch, files)) for name, tensor in tensors.items()}
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        told = json.loads((folder / "config.json").read_text())
        told.pop("dtype", None)
        told.update({"torch_dtype": said} if said else {})
        (folder / "config.json").write_text(json.dumps(told))
        return folder

    return make


def dtypes(folder):
    return {str(t.dtype)[6:] for t in load_file(folder / "model.safetensors").values()}


CONTRADICTIONS = [("float32", "bfloat16"), ("bfloat16", "float32"), ("float16", None)]


@pytest.mark.parametrize(("files", "said"), CONTRADICTIONS)
def test_a_search_computes_in_the_dtype_of_the_files(stored, files, said):
    adapter = load_adapter(Spec(str(stored(files, said)), device="cpu", dtype=OWN_DTYPE))
    assert adapter.facts.fingerprint["dtype"] == files


@pytest.mark.parametrize(("files", "said"), CONTRADICTIONS)
def test_an_export_takes_the_memory_of_the_original(stored, tmp_path, files, said):
    to = prunekit.export(str(stored(files, said)), remove=[1], to=tmp_path / "out")
    assert dtypes(to) == {files}


@pytest.mark.parametrize(("files", "said"), CONTRADICTIONS)
@pytest.mark.parametrize("asked", ["bfloat16", "float32"])
def test_an_export_is_in_the_dtype_that_was_asked_for(stored, tmp_path, files, said, asked):
    from transformers import AutoModelForCausalLM

    to = prunekit.export(str(stored(files, said)), remove=[1], to=tmp_path / "out", dtype=asked)
    assert dtypes(to) == {asked}
    assert AutoModelForCausalLM.from_pretrained(to).dtype is getattr(torch, asked)
    size = (to / "model.safetensors").stat().st_size
    tensors = Checkpoint(str(to)).tensors().values()
    assert sum(tensor.size for tensor in tensors) == pytest.approx(size, rel=0.05)


@pytest.mark.parametrize(("files", "said"), CONTRADICTIONS)
def test_memory_is_counted_in_the_dtype_of_the_files(stored, files, said):
    source = Checkpoint(str(stored(files, said)))
    weights = sum(tensor.size for tensor in source.tensors().values())
    assert memory_of(source, Spec(source.source), 1).weights == weights


def test_most_bytes_decide_where_dtypes_are_mixed(stored):
    folder = stored("bfloat16", "float32")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"].float()
    tensors["counts"] = torch.ones(10**6, dtype=torch.int64)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    assert Checkpoint(str(folder)).dtype() is torch.bfloat16


def test_a_checkpoint_without_floating_point_weights_is_refused(stored):
    folder = stored("float32", None)
    save_file({"a": torch.ones(4, dtype=torch.int8)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="holds no floating-point weights"):
        load_adapter(Spec(str(folder), device="cpu"))
