"""The text of an exported `config.json`: the source's, but for blocks, and a dtype if asked."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import prunekit
from prunekit.core import CheckpointError

OLD = {
    "_name_or_path": "somebody/somewhere",
    "vocab_size": 2048,
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "model_type": "llama",
    "num_hidden_layers": 8,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "rope_theta": 70000.0,
    "rope_scaling": {"type": "linear", "factor": 2.0},
    "a_note": "naïve",
    "rms_norm_eps": 1e-06,
    "torch_dtype": "float32",
    "transformers_version": "4.31.0",
}


@pytest.fixture
def model(tiny_model, tmp_path):
    """`model(config, dtype)`: a checkpoint of 8 blocks under a configuration made by hand."""

    def make(config, dtype=torch.float32):
        folder = shutil.copytree(tiny_model(), tmp_path / "model", dirs_exist_ok=True)
        tensors = load_file(folder / "model.safetensors")
        stored = {name: tensor.to(dtype) for name, tensor in tensors.items()}
        save_file(stored, folder / "model.safetensors", {"format": "pt"})
        text = config if isinstance(config, str) else json.dumps(config, indent=2)
        (folder / "config.json").write_text(text, encoding="utf-8")
        return folder

    return make


def exported(folder, tmp_path, **given):
    to = prunekit.export(str(folder), remove=[1, 4], to=tmp_path / "pruned", **given)
    return to, json.loads((to / "config.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("escaped", [True, False])
@pytest.mark.parametrize("end", ["\n", ""])
def test_one_line_of_an_old_file_changes(model, tmp_path, escaped, end):
    text = json.dumps(OLD, indent=2, ensure_ascii=escaped) + end
    to, _ = exported(model(text), tmp_path)
    wanted = text.replace('"num_hidden_layers": 8', '"num_hidden_layers": 6')
    assert (to / "config.json").read_bytes() == wanted.encode()


def test_of_a_new_file_only_the_words_of_old_are_added(tiny_model, tmp_path):
    folder = tiny_model("llama31")
    source = json.loads((folder / "config.json").read_text())
    _, config = exported(folder, tmp_path)
    rope = dict(source["rope_parameters"])
    theta = rope.pop("rope_theta")
    old = {"torch_dtype": "float32", "rope_theta": theta, "rope_scaling": rope}
    assert config == {**source, "num_hidden_layers": 6, **old}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"torch_dtype": "float32"}, {"torch_dtype": "bfloat16"}),
        ({"dtype": "float32"}, {"dtype": "bfloat16"}),
        (
            {"dtype": "float32", "torch_dtype": "float32"},
            dict.fromkeys(("dtype", "torch_dtype"), "bfloat16"),
        ),
        ({}, {"torch_dtype": "bfloat16"}),
    ],
)
def test_a_dtype_is_said_in_the_words_of_the_file(model, tmp_path, said, expected):
    config = {key: value for key, value in OLD.items() if key != "torch_dtype"}
    to, made = exported(model({**config, **said}), tmp_path, dtype="bfloat16")
    assert {key: made[key] for key in ("dtype", "torch_dtype") if key in made} == expected
    assert AutoModelForCausalLM.from_pretrained(to).dtype is torch.bfloat16
    assert {t.dtype for t in load_file(to / "model.safetensors").values()} == {torch.bfloat16}


def test_a_configuration_that_is_wrong_about_the_files_is_put_right_by_a_dtype(model, tmp_path):
    folder = model({**OLD, "torch_dtype": "bfloat16"})
    to, made = exported(folder, tmp_path, dtype="float16")
    assert made["torch_dtype"] == "float16"
    assert {t.dtype for t in load_file(to / "model.safetensors").values()} == {torch.float16}


def test_without_a_dtype_it_loads_as_the_original_does(model, tmp_path):
    folder = model(OLD, torch.bfloat16)  # stored in less than the configuration says
    to, made = exported(folder, tmp_path)
    assert made["torch_dtype"] == "float32"
    one, other = (AutoModelForCausalLM.from_pretrained(f).dtype for f in (folder, to))
    assert one is other
    assert {t.dtype for t in load_file(to / "model.safetensors").values()} == {torch.bfloat16}


def test_parts_follow_where_they_say_the_same(family_model, tmp_path):
    folder, removed = family_model("llava")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["dtype"] = config["dtype"] = "float32"
    config["vision_config"]["dtype"] = "float16"
    (folder / "config.json").write_text(json.dumps(config))
    to = prunekit.export(str(folder), remove=removed, to=tmp_path / "pruned", dtype="bfloat16")
    made = json.loads((to / "config.json").read_text())
    said = [part["dtype"] for part in (made, made["text_config"], made["vision_config"])]
    assert said == ["bfloat16", "bfloat16", "float16"]


def test_a_dtype_that_was_not_written_is_seen(tiny_model, tmp_path, monkeypatch):
    from prunekit.hf import model_config
    from prunekit.plugins.commands.export import export

    monkeypatch.setattr(
        export,
        "config_json",
        lambda source, removed, dtype: model_config.config_json(source, removed, None),
    )
    with pytest.raises(CheckpointError, match="its config.json says float32; expected bfloat16"):
        prunekit.export(str(tiny_model()), remove=[1], to=tmp_path / "pruned", dtype="bfloat16")
    assert list(tmp_path.iterdir()) == []


def test_files_without_the_prefix_of_the_whole_model_keep_their_names(tiny_model, tmp_path):
    """As saved from the class of the base model, which has no head: that is the embedding."""
    source = tiny_model("qwen3", tie_word_embeddings=True)
    folder = shutil.copytree(source, tmp_path / "base")
    AutoModelForCausalLM.from_pretrained(source).model.save_pretrained(folder)
    names = set(load_file(folder / "model.safetensors"))
    assert "layers.7.mlp.up_proj.weight" in names
    to = prunekit.export(str(folder), remove=[1, 4], to=tmp_path / "pruned")
    kept = {name for name in names if not name.startswith(("layers.6.", "layers.7."))}
    assert set(load_file(to / "model.safetensors")) == kept
    assert json.loads((to / "config.json").read_text())["architectures"] == ["Qwen3Model"]
    pruned, report = AutoModelForCausalLM.from_pretrained(to, output_loading_info=True)
    assert not any(report.values())
    whole = prunekit.export(str(source), remove=[1, 4], to=tmp_path / "whole")
    ids = torch.arange(24)[None]
    with torch.no_grad():
        logits = [
            m(input_ids=ids).logits for m in (pruned, AutoModelForCausalLM.from_pretrained(whole))
        ]
    assert torch.equal(*logits)
