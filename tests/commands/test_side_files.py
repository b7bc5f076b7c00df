"""What an export takes along from its source, byte for byte, and what it leaves there."""

import ast
import importlib.util
import json
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import prunekit
from prunekit.core import CheckpointError
from prunekit.hf.checkpoint import Checkpoint
from prunekit.hf.files import TOKENIZERS
from prunekit.hf.side_files import copy_side_files

OWN = {"README.md", "config.json", "model.safetensors", "prunekit.json"}
"""What is made anew."""
TAKEN = (
    "generation_config.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "tokenizer.model.v3",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "qwen.tiktoken",
    "chat_template.json",
    "chat_template.jinja",
    "additional_chat_templates/tools.jinja",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
    "LICENSE",
    "LICENSE.txt",
    "license-2.0.md",
    "LICENSE-APACHE",
    "LLAMA_LICENSE.pdf",
    "Notice",
    "NOTICE.txt",
    "USE_POLICY.md",
    "THIRD_PARTY_NOTICES.txt",
    "COPYING",
    "LICENSES/Apache-2.0.txt",
    "SYSTEM_PROMPT.txt",
    "tool_chat_template.jinja",
)
LEFT = (
    "license_check.py",
    "LICENSE.safetensors",
    "license.bin",
    "LICENSES/run.py",
    "params.json",
    "quantize_config.json",
    "adapter_model.safetensors",
    "original/tokenizer.model",
    "notes.txt",
    "pytorch_model.bin",
    "model.gguf",
    "optimizer.pt",
    "training_args.bin",
    "trainer_state.json",
    "vocab.pt",
    "modeling_own.py",
    "tokenizer.py",
    "eval_results.json",
    ".env",
    "additional_chat_templates/run.py",
    "onnx/tokenizer.json",
)


@pytest.fixture
def model(tiny_model, tmp_path):
    return shutil.copytree(tiny_model(), tmp_path / "model")


def put(folder, names, content="{ }\r\n"):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content.encode())


def files_of(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_tokenizer_processor_and_generation_come_along_byte_for_byte(model, tmp_path):
    put(model, TAKEN)
    put(model, LEFT)
    to = prunekit.export(str(model), remove=[1], to=tmp_path / "pruned")
    assert files_of(to) == {*OWN, *TAKEN, "tokenizer.json"}
    for name in {*TAKEN, "tokenizer.json"}:
        assert (to / name).read_bytes() == (model / name).read_bytes()


def test_nothing_is_made_up_that_the_source_has_not(model, tmp_path):
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        (model / name).unlink()
    to = prunekit.export(str(model), remove=[1], to=tmp_path / "pruned")
    assert files_of(to) == OWN


def test_nor_where_the_model_saves_its_weights_itself(family_model, tmp_path):
    """As it does where blocks share some."""
    folder, removed = family_model("zamba2")
    (folder / "generation_config.json").unlink()
    to = prunekit.export(str(folder), remove=removed, to=tmp_path / "pruned")
    assert files_of(to) == {*OWN, "tokenizer.json", "tokenizer_config.json"}
    one, other = (json.loads((f / "config.json").read_text()) for f in (folder, to))
    assert one["transformers_version"] == other["transformers_version"]
    assert list(other)[: len(one)] == list(one)


def test_every_file_of_every_tokenizer_of_transformers_is_known():
    known = set()
    models = Path(importlib.util.find_spec("transformers").origin).parent / "models"
    for path in models.glob("*/tokenization_*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if (
                isinstance(node, ast.Assign)
                and getattr(node.targets[0], "id", "") == "VOCAB_FILES_NAMES"
            ):
                known.update(value.value for value in node.value.values)
    assert {"vocab.json", "spiece.model"} <= known
    assert not [name for name in known if not any(fnmatch(name, p) for p in TOKENIZERS)]


@pytest.mark.parametrize("family", ["gemma2", "llama3"])
def test_a_model_without_a_tokenizer_is_not_calibrated_with_one_that_is_made_up(
    tiny_model, tmp_path, family
):
    folder = shutil.copytree(tiny_model(family), tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    given = {"searcher": "one-shot", "ppl": {"data": "demo", "samples": 2, "length": 24}}
    with pytest.raises(CheckpointError, match="holds no tokenizer|tokenizer cannot be read"):
        prunekit.search(str(folder), **given, workdir=tmp_path / "work")


@pytest.mark.parametrize(
    "name", ["tokenizer.model", "chat_template.jinja", "generation_config.json", "LICENSE"]
)
def test_a_link_out_of_the_folder_is_not_followed(model, tmp_path, name):
    (tmp_path / "secret").write_text("{}")
    (model / name).unlink(missing_ok=True)
    (model / name).symlink_to("../secret")
    with pytest.raises(CheckpointError, match=f"{name} is a link to a place outside"):
        prunekit.export(str(model), remove=[1], to=tmp_path / "pruned")
    assert not (tmp_path / "pruned").exists()


def test_nor_is_a_folder_that_is_one(model, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.jinja").write_text("x")
    (model / "additional_chat_templates").symlink_to("../elsewhere")
    with pytest.raises(CheckpointError, match="secret.jinja is a link to a place outside"):
        copy_side_files(Checkpoint(str(model)), tmp_path)


def test_links_into_the_cache_of_the_hub_are_copied_as_files(tiny_model, tmp_path):
    folder = hub_cache(tiny_model(), tmp_path)
    to = prunekit.export(str(folder), remove=[1], to=tmp_path / "pruned")
    assert (to / "tokenizer.json").read_bytes() == (tiny_model() / "tokenizer.json").read_bytes()
    assert not (to / "tokenizer.json").is_symlink()


def test_of_a_model_on_the_hub_files_come_along_that_nothing_loaded(
    tiny_model, tmp_path, monkeypatch
):
    import huggingface_hub.constants

    folder = hub_cache(tiny_model(), tmp_path)
    put(folder, ["tokenizer.model", "preprocessor_config.json", "LICENSE", "Notice.md"])
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(Checkpoint, "identity", lambda self: f"owner/name@{folder.name}")
    monkeypatch.chdir(tmp_path)
    copy_side_files(Checkpoint("owner/name"), Path("."))
    copied = {"tokenizer.json", "tokenizer.model", "preprocessor_config.json", "LICENSE"}
    assert copied | {"Notice.md"} <= files_of(Path("."))


def hub_cache(source, place):
    """As the hub's client lays it out: a folder of links, and the contents beside it."""
    cached = place / "models--owner--name"
    snapshot = cached / "snapshots" / ("0123456789" * 4)
    snapshot.mkdir(parents=True)
    (cached / "blobs").mkdir()
    for number, path in enumerate(source.iterdir()):
        shutil.copy(path, cached / "blobs" / str(number))
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    return snapshot


CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM

Path({mark!r}).touch()

class OwnConfig(LlamaConfig):
    model_type = "llama"

class Own(LlamaForCausalLM):
    config_class = OwnConfig
"""
MAP = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.Own"}
MAPPED = {
    "config.json": MAP,
    "tokenizer_config.json": {"AutoTokenizer": ["own.OwnTokenizer", None]},
    "generation_config.json": {"AutoX": "own.X"},
    "processor_config.json": {"AutoProcessor": "somebody/else--own.OwnProcessor"},
    "preprocessor_config.json": {"AutoImageProcessor": "own.OwnImages"},
}


@pytest.fixture
def with_code(model, tmp_path):
    """A folder of a type that transformers knows, with code of its own that says if it ran."""
    (model / "own.py").write_text(CODE.format(mark=str(tmp_path / "RAN")))
    for name, said in MAPPED.items():
        path = model / name
        content = json.loads(path.read_text()) if path.exists() else {"kept": {"a": [1]}}
        nested = {"image_processor": {"auto_map": said, "size": 3}}
        path.write_text(json.dumps({**content, **nested, "auto_map": said}))
    return model


def test_code_that_is_not_trusted_stays_and_so_does_all_that_points_to_it(with_code, tmp_path):
    to = prunekit.export(str(with_code), remove=[1, 4], to=tmp_path / "pruned")
    assert not (tmp_path / "RAN").exists()
    assert not list(to.glob("*.py"))
    for name in MAPPED:
        one, other = (json.loads((f / name).read_text()) for f in (with_code, to))
        del one["auto_map"], one["image_processor"]["auto_map"]
        assert set(other) - set(one) <= {"torch_dtype", "rope_theta", "rope_scaling"}
        assert [key for key in one if other[key] != one[key]] == (
            ["num_hidden_layers"] if name == "config.json" else []
        )
    model, plain = (
        AutoModelForCausalLM.from_pretrained(to, trust_remote_code=trust) for trust in (True, False)
    )
    ids = torch.arange(9)[None]
    with torch.no_grad():
        assert torch.equal(model(ids).logits, plain(ids).logits)
    assert AutoTokenizer.from_pretrained(to, trust_remote_code=True)("a king").input_ids
    assert not (tmp_path / "RAN").exists()


def test_code_that_is_missing_already_is_no_hindrance(with_code, tmp_path):
    (with_code / "own.py").unlink()
    to = prunekit.export(str(with_code), remove=[1, 4], to=tmp_path / "pruned")
    assert AutoModelForCausalLM.from_pretrained(to, trust_remote_code=True) is not None


def test_code_that_is_trusted_comes_along_with_what_points_to_it(with_code, tmp_path):
    to = prunekit.export(
        str(with_code), remove=[1, 4], to=tmp_path / "pruned", trust_remote_code=True
    )
    assert (tmp_path / "RAN").exists()
    for name in {*MAPPED, "own.py"} - {"config.json"}:
        assert (to / name).read_bytes() == (with_code / name).read_bytes()
    assert json.loads((to / "config.json").read_text())["auto_map"] == MAP
    shutil.rmtree(with_code)
    pruned = AutoModelForCausalLM.from_pretrained(to, trust_remote_code=True)
    assert (type(pruned).__name__, pruned.config.num_hidden_layers) == ("Own", 6)


def test_a_tokenizer_that_needs_its_code_is_not_left_without_it(with_code, tmp_path):
    (with_code / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match="the tokenizer cannot be read"):
        prunekit.export(str(with_code), remove=[1, 4], to=tmp_path / "pruned")
    assert not (tmp_path / "pruned").exists()
