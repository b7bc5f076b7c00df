"""Which files of a folder hold the weights, and what is refused: each in one line, by name."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import prunekit
from prunekit.core.errors import CheckpointError
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.hf.checkpoint import Checkpoint, find
from prunekit.hf.loading import load_adapter

INDEX = "model.safetensors.index.json"
A, B = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.fixture
def single(tiny_model, tmp_path):
    """A folder with one file of weights."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model(), folder)
    return folder


@pytest.fixture
def sharded(single):
    """The same weights in two files and an index."""
    tensors = load_file(single / "model.safetensors")
    (single / "model.safetensors").unlink()
    names = sorted(tensors)
    files = {A: names[::2], B: names[1::2]}
    for file, those in files.items():
        save_file({name: tensors[name] for name in those}, single / file, {"format": "pt"})
    write_index(single, {name: file for file, those in files.items() for name in those})
    return single


def write_index(folder, weight_map):
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(index))


def weight_map(folder):
    return json.loads((folder / INDEX).read_text())["weight_map"]


def refusal(folder):
    """Return the error of a search: one line, the same in the dry run."""
    with pytest.raises(CheckpointError) as caught:
        load_adapter(Spec(str(folder), device="cpu"))
    assert "\n" not in str(caught.value)
    assert type(caught.value) is CheckpointError
    return str(caught.value)


def test_shards_are_read_through_their_index(sharded, tiny_model):
    found = Checkpoint(str(sharded)).tensors()
    assert {tensor.file.name for tensor in found.values()} == {A, B}
    assert found.keys() == Checkpoint(str(tiny_model())).tensors().keys()
    assert load_adapter(Spec(str(sharded), device="cpu")).facts.n_blocks == 8


def test_a_single_file_wins_over_a_stale_index_as_in_transformers(single, sharded, tiny_model):
    from transformers import AutoModelForCausalLM

    shutil.copy(tiny_model(initializer_range=0.1) / "model.safetensors", single)
    wanted = load_file(single / "model.safetensors")["model.norm.weight"]
    loaded = AutoModelForCausalLM.from_pretrained(single)
    assert torch.equal(loaded.model.norm.weight, wanted)
    assert [path.name for path in Checkpoint(str(single)).weight_files()] == ["model.safetensors"]


@pytest.mark.parametrize("stray", ["consolidated.safetensors", "model.fp16.safetensors", "x.bin"])
def test_what_is_not_read_does_not_change_the_identity(single, stray):
    before = Checkpoint(str(single)).identity()
    shutil.copy(single / "model.safetensors", single / stray)
    assert Checkpoint(str(single)).identity() == before


@pytest.mark.parametrize("changed", [A, B, "config.json"])
def test_what_is_read_changes_the_identity(sharded, changed):
    before = Checkpoint(str(sharded)).identity()
    with (sharded / changed).open("ab") as file:
        file.write(b" ")
    assert Checkpoint(str(sharded)).identity() != before


def test_the_identity_of_a_folder_is_that_of_earlier_versions(sharded):
    """Journals are kept under it."""
    import hashlib

    digest = hashlib.blake2b(digest_size=16)
    for path in [*sorted(sharded.glob("*.safetensors")), sharded / "config.json"]:
        digest.update(hashlib.blake2b(path.read_bytes()).digest())
    assert Checkpoint(str(sharded)).identity() == digest.hexdigest()


@pytest.mark.parametrize(
    "name",
    [
        "../outside.safetensors",
        "/tmp/outside.safetensors",
        "sub/outside.safetensors",
        "..\\outside.safetensors",
        "pytorch_model.bin",
        "model.safetensors\n",
        "",
        None,
        7,
    ],
)
def test_an_index_names_safetensors_of_its_folder_alone(sharded, tmp_path, name):
    """Neither a path nor a pickle is opened, and not by transformers."""
    for place in (tmp_path / "outside.safetensors", sharded / "pytorch_model.bin"):
        shutil.copy(sharded / B, place)
    moved = {tensor: name if file == B else file for tensor, file in weight_map(sharded).items()}
    write_index(sharded, moved)
    assert f"{INDEX} names {name!r}; expected .safetensors files in the same" in refusal(sharded)
    with pytest.raises(CheckpointError, match="in the same folder"):
        find(Spec(str(sharded)), load())  # as the dry run, `show` and recipes do
    with pytest.raises(CheckpointError, match="in the same folder"):
        Checkpoint(str(sharded)).identity()


def test_links_of_the_hubs_cache_are_followed_to_contents_of_the_same_model(single, tmp_path):
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123abc"
    shutil.copytree(single, snapshot)
    for model in ("models--a--b", "models--a--c"):
        (tmp_path / model / "blobs").mkdir(parents=True)
        shutil.copy(single / "model.safetensors", tmp_path / model / "blobs" / "0123")
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").symlink_to("../../blobs/0123")
    assert Checkpoint(str(snapshot)).tensors()
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").symlink_to("../../../models--a--c/blobs/0123")
    with pytest.raises(CheckpointError, match="is a link to a place outside of its folder"):
        Checkpoint(str(snapshot)).tensors()


def test_a_missing_shard_is_named(sharded):
    (sharded / B).unlink()
    assert f"{INDEX} names {B}, which is missing; fetch it" in refusal(sharded)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not valid JSON"),
        ("[1]", "expected a JSON object"),
        ('{"metadata": {}}', "holds no `weight_map`"),
        ('{"weight_map": {}}', "holds no `metadata`"),
        ("[" * 100_000, "is not valid JSON"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "`git lfs pull`"),
    ],
)
def test_a_broken_index_is_named(sharded, text, reason):
    (sharded / INDEX).write_text(text)
    assert INDEX in refusal(sharded)
    assert reason in refusal(sharded)


def test_a_tensor_that_is_not_where_the_index_says_is_named(sharded):
    name = next(iter(weight_map(sharded)))
    right = weight_map(sharded)
    write_index(sharded, {**right, name: B})
    assert f"{INDEX} says that {B} holds {name!r}, which it does not" in refusal(sharded)
    write_index(sharded, {**right, "model.more.weight": A})
    assert "'model.more.weight', which it does not" in refusal(sharded)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda content: content[:-100], "broken or cut short"),
        (lambda content: content + b"more", "broken or cut short"),
        (lambda content: b"\xff" * 8 + content[8:], "broken or cut short"),
        (lambda content: b"", "broken or cut short"),
        (lambda content: b"version https://git-lfs.github.com/spec/v1\n", "`git lfs pull`"),
    ],
)
def test_a_broken_file_is_named(sharded, spoil, reason):
    (sharded / B).write_bytes(spoil((sharded / B).read_bytes()))
    assert B in refusal(sharded)
    assert reason in refusal(sharded)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (
            ["model.fp16.safetensors"],
            "only as the variant 'fp16'; load it with transformers",
        ),
        (["model.bf16-00001-of-00002.safetensors"], "only as the variant 'bf16'"),
        (["consolidated.safetensors"], "consolidated.safetensors, a layout that transformers does"),
        (["consolidated-00001-of-00002.safetensors"], "fetch the files model*.safetensors"),
        ([A, B], f"but no {INDEX}"),
        (["weights.safetensors"], "neither model.safetensors nor"),
        (["pytorch_model.bin"], "other formats are not read, since they can run code"),
    ],
)
def test_weights_under_other_names_are_told_with_the_way_out(single, names, reason):
    for name in names:
        shutil.copy(single / "model.safetensors", single / name)
    (single / "model.safetensors").unlink()
    assert reason in refusal(single)
    with pytest.raises(CheckpointError):
        prunekit.show(single)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_quantised_weights_are_known_also_where_the_configuration_is_silent(single, dtype):
    path = single / "model.safetensors"
    tensors = load_file(path)
    name = "model.layers.1.mlp.up_proj.weight"
    save_file({**tensors, name: tensors[name].to(dtype)}, path, {"format": "pt"})
    with pytest.raises(CheckpointError, match=f"is quantised \\(`{name}` is stored as "):
        load_adapter(Spec(str(single)))
    with pytest.raises(CheckpointError, match="give the model as it was before"):
        prunekit.export(str(single), remove=[1], to=single.parent / "to")


@pytest.mark.parametrize("which", ["all", "model.embed_tokens.weight"])
def test_weights_that_are_not_finite_are_blamed_not_the_adapter(single, which):
    path = single / "model.safetensors"
    tensors = load_file(path)
    broken = tensors if which == "all" else [which]
    changed = {name: torch.full_like(tensors[name], torch.nan) for name in broken}
    save_file({**tensors, **changed}, path, {"format": "pt"})
    with pytest.raises(CheckpointError, match="holds numbers that are not finite"):
        load_adapter(Spec(str(single), device="cpu", dtype="float32"))


def test_a_header_of_lists_is_refused(single):
    path = single / "model.safetensors"
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    head = json.loads(content[8 : 8 + size])
    head.pop("__metadata__", None)
    lists = {name: [*about.values()] for name, about in head.items()}
    text = json.dumps(lists).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])
    assert "its header is not that of safetensors" in refusal(single)
