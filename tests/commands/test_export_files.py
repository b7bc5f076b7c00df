"""What an export reads and writes: shards, names, dtypes; and what is left when it is cut off."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GenerationConfig

import prunekit
from prunekit.core.errors import CheckpointError, StorageError
from prunekit.hf import weights

REMOVED = [1, 4, 5]


@pytest.fixture
def sharded(tiny_model, tmp_path):
    """A checkpoint in several files: `sharded("llama3")`."""

    def make(family="llama3", **more):
        folder = tmp_path / "model"
        shutil.copytree(tiny_model(family, **more), folder)
        (folder / "model.safetensors").unlink()
        model = AutoModelForCausalLM.from_pretrained(tiny_model(family, **more))
        model.save_pretrained(folder, max_shard_size=100_000)
        assert len(list(folder.glob("*.safetensors"))) > 2
        return folder

    return make


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(weights, "SHARD_BYTES", 100_000)


def tensors_of(folder):
    files = folder.glob("*.safetensors")
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def renumbered(tensors, path="model.layers", removed=REMOVED, n_blocks=8):
    """By hand: the names that the tensors of the kept blocks have in the pruned model."""
    kept = [i for i in range(n_blocks) if i not in removed]
    numbers = {f"{path}.{old}.": f"{path}.{new}." for new, old in enumerate(kept)}
    for name, tensor in tensors.items():
        head = next((head for head in numbers if name.startswith(head)), None)
        if head is not None:
            yield name.replace(head, numbers[head]), tensor
        elif not name.startswith(f"{path}."):
            yield name, tensor


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_every_tensor_is_the_originals_under_its_new_number(sharded, small_shards, tmp_path):
    model = sharded()
    to = prunekit.export(str(model), remove=REMOVED, to=tmp_path / "pruned")
    assert_same(tensors_of(to), dict(renumbered(tensors_of(model))))
    index = json.loads((to / "model.safetensors.index.json").read_text())
    files = sorted(set(index["weight_map"].values()))
    assert len(files) > 2
    assert files == sorted(path.name for path in to.glob("*.safetensors"))
    for file in files:
        with safe_open(to / file, framework="pt") as shard:
            assert all(index["weight_map"][name] == file for name in shard.keys())  # noqa: SIM118
    size = sum(t.numel() * t.element_size() for t in tensors_of(to).values())
    assert index["metadata"]["total_size"] == size


def test_one_file_is_written_where_all_fits(sharded, tmp_path):
    to = prunekit.export(str(sharded()), remove=REMOVED, to=tmp_path / "pruned")
    assert [path.name for path in to.glob("*.safetensors*")] == ["model.safetensors"]


def test_no_more_than_a_shard_is_in_memory(sharded, small_shards, tmp_path, monkeypatch):
    import safetensors.torch

    written = []

    def save(tensors, *args, **kwargs):
        written.append(sum(t.numel() * t.element_size() for t in tensors.values()))
        save_file(tensors, *args, **kwargs)

    monkeypatch.setattr(safetensors.torch, "save_file", save)
    model = sharded()
    prunekit.export(str(model), remove=[1], to=tmp_path / "pruned")
    largest = max(t.numel() * t.element_size() for t in tensors_of(model).values())
    assert len(written) > 2
    assert max(written) <= max(weights.SHARD_BYTES, largest)


def test_a_mixture_of_experts_keeps_the_layout_in_which_it_was_published(family_model, tmp_path):
    folder, removed = family_model("qwen3_moe")
    to = prunekit.export(str(folder), remove=removed, to=tmp_path / "pruned")
    wanted = dict(renumbered(tensors_of(folder), removed=removed, n_blocks=6))
    assert "model.layers.1.mlp.experts.3.up_proj.weight" in wanted
    assert_same(tensors_of(to), wanted)


def test_tied_embeddings_are_stored_once(tiny_model, tmp_path):
    model = tiny_model("qwen3", tie_word_embeddings=True)
    to = prunekit.export(str(model), remove=REMOVED, to=tmp_path / "pruned")
    assert "lm_head.weight" not in tensors_of(to)
    pruned = AutoModelForCausalLM.from_pretrained(to)
    assert pruned.lm_head.weight is pruned.model.embed_tokens.weight


def test_a_tensor_keeps_its_own_dtype_unless_another_is_asked_for(tiny_model, tmp_path):
    model = tmp_path / "mixed"
    AutoModelForCausalLM.from_pretrained(tiny_model(), dtype=torch.bfloat16).save_pretrained(model)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_model() / name, model / name)
    tensors = tensors_of(model)
    tensors["model.norm.weight"] = tensors["model.norm.weight"].float()
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    to = prunekit.export(str(model), remove=REMOVED, to=tmp_path / "pruned")
    assert_same(tensors_of(to), dict(renumbered(tensors)))
    half = prunekit.export(str(model), remove=REMOVED, dtype="float16", to=tmp_path / "half")
    found = tensors_of(half)
    assert found.pop("model.norm.weight").dtype == torch.float32
    assert {tensor.dtype for tensor in found.values()} == {torch.float16}


def test_layers_that_predict_further_tokens_go(family_model, tmp_path, monkeypatch):
    from transformers.models.glm4_moe.modeling_glm4_moe import Glm4MoePreTrainedModel

    ignored = [r"model\.layers\.6\."]  # as transformers does for the real sizes of this family
    monkeypatch.setattr(Glm4MoePreTrainedModel, "_keys_to_ignore_on_load_unexpected", ignored)
    folder, removed = family_model("glm4_moe")
    tensors = load_file(folder / "model.safetensors")
    further = {f"model.layers.6.{name}": torch.ones(4, 4) for name in ("eh_proj.weight", "enorm")}
    save_file({**tensors, **further}, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_nextn_predict_layers": 1}))
    to = prunekit.export(str(folder), remove=removed, to=tmp_path / "pruned")
    assert_same(tensors_of(to), dict(renumbered(tensors, removed=removed, n_blocks=6)))
    assert json.loads((to / "config.json").read_text())["num_nextn_predict_layers"] == 0


def test_what_is_no_weight_comes_along(tiny_model, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(tiny_model(), model)
    GenerationConfig(temperature=0.6, top_p=0.9, do_sample=True).save_pretrained(model)
    (model / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    (model / "preprocessor_config.json").write_text('{"size": 14}')
    to = prunekit.export(str(model), remove=REMOVED, to=tmp_path / "pruned")
    assert GenerationConfig.from_pretrained(to).temperature == 0.6
    for name in ("chat_template.jinja", "preprocessor_config.json"):
        assert (to / name).read_text() == (model / name).read_text()
    config = json.loads((to / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["dtype"] == "float32"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_others_may_read_the_weights_as_well_as_the_rest(tiny_model, tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        to = prunekit.export(str(tiny_model()), remove=REMOVED, to=tmp_path / "pruned")
    finally:
        os.umask(before)
    assert {path.name: path.stat().st_mode & 0o777 for path in to.iterdir()} == {
        path.name: mode for path in to.iterdir()
    }


@pytest.mark.parametrize("damage", ["cut short", "no header", "missing"])
def test_a_damaged_shard_is_named(sharded, tmp_path, damage):
    model = sharded()
    shard = sorted(model.glob("*.safetensors"))[1]
    content = shard.read_bytes()
    if damage == "missing":
        shard.unlink()
    else:
        shard.write_bytes(content[:-500] if damage == "cut short" else b"\xff" * 64 + content[64:])
    with pytest.raises(CheckpointError, match="broken or cut short|is missing"):
        prunekit.export(str(model), remove=REMOVED, to=tmp_path / "pruned")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_weights_that_are_no_numbers_are_named_wherever_they_are(tiny_model, tmp_path, value):
    """In the row of a word that no proof reads, too."""
    model = tmp_path / "model"
    shutil.copytree(tiny_model(), model)
    tensors = load_file(model / "model.safetensors")
    tensors["model.embed_tokens.weight"][-1, 3] = value
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="`model.embed_tokens.weight` .* not finite"):
        prunekit.export(str(model), remove=REMOVED, to=tmp_path / "pruned")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_weights_too_large_for_another_dtype_are_named(tiny_model, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(tiny_model(), model)
    tensors = load_file(model / "model.safetensors")
    tensors["model.embed_tokens.weight"][-1, 3] = 1e5
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="not finite in float16.* another --dtype"):
        prunekit.export(str(model), remove=REMOVED, dtype="float16", to=tmp_path / "pruned")
    assert prunekit.export(str(model), remove=REMOVED, to=tmp_path / "pruned").is_dir()


@pytest.mark.parametrize(("count", "message"), [(7, "unexpected keys"), (9, "missing keys")])
def test_a_config_with_the_wrong_count_is_refused(sharded, tmp_path, count, message):
    model = sharded()
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "num_hidden_layers": count}))
    with pytest.raises(CheckpointError, match=f"do not fit the configuration .{message}"):
        prunekit.export(str(model), remove=[1], to=tmp_path / "pruned")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("damage", ["truncated", "tensor lost", "bit flipped"])
def test_what_the_disk_spoils_never_takes_the_name(tiny_model, tmp_path, monkeypatch, damage):
    import safetensors.torch

    def spoil(tensors, path, metadata):
        name = "model.layers.2.mlp.up_proj.weight"
        if damage == "tensor lost":
            del tensors[name]
        elif damage == "bit flipped":
            tensors[name] = tensors[name].clone()
            tensors[name].view(-1)[0] += 1
        save_file(tensors, path, metadata=metadata)
        if damage == "truncated":
            os.truncate(path, path.stat().st_size // 2)

    monkeypatch.setattr(safetensors.torch, "save_file", spoil)
    with pytest.raises(CheckpointError, match="written checkpoint is not the pruned model"):
        prunekit.export(str(tiny_model()), remove=REMOVED, to=tmp_path / "pruned")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_grow_leaves_nothing(sharded, small_shards, tmp_path):
    """As on a full disk, the system refuses to write on in the middle of a shard."""
    model = sharded()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(StorageError, match="cannot write .*nothing was left there"):
            prunekit.export(str(model), remove=REMOVED, to=tmp_path / "pruned")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


KILLED = """
import sys, time, prunekit, safetensors.torch
from prunekit.hf import weights

weights.SHARD_BYTES = 100_000
save, written = safetensors.torch.save_file, []

def stop_at_the_third(*args, **kwargs):
    save(*args, **kwargs)
    written.append(args[1])
    if len(written) == 3:
        print("written", flush=True)
        time.sleep(600)

safetensors.torch.save_file = stop_at_the_third
prunekit.export(sys.argv[1], remove=[1, 4, 5], to=sys.argv[2])
"""


def test_a_killed_export_leaves_nothing_under_the_name_and_the_next_clears_up(sharded, tmp_path):
    model, to = sharded(), tmp_path / "pruned"
    command = [sys.executable, "-c", KILLED, str(model), str(to)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
    assert not to.exists()
    (leftover,) = tmp_path.glob(".pruned.partial-*")
    assert len(list(leftover.glob("*.safetensors"))) == 3
    another = tmp_path / leftover.name.replace(str(process.pid), str(os.getppid()))
    another.mkdir()  # of a process that is alive, and may be writing
    prunekit.export(str(model), remove=REMOVED, to=to)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["model", "pruned", another.name]
    )
