"""What a checkpoint may say of itself: nothing leads out of its folder, and nothing is taken in."""

import json
import shutil

import pytest
import yaml
from safetensors.torch import load_file

import prunekit
from prunekit.core.errors import CheckpointError, ConfigError
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.hf.checkpoint import Checkpoint, find

LORA = {"peft_type": "LORA", "base_model_name_or_path": "some/base"}


@pytest.fixture
def folder(tiny_model, tmp_path):
    """A checkpoint of its own to be spoilt."""
    shutil.copytree(tiny_model(), tmp_path / "model")
    return tmp_path / "model"


def add(path, **more):
    """Put more into a JSON file."""
    told = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**told, **more}))


def told_everywhere(folder, tmp_path):
    """The one line that every way of reading a model gives, and that nothing was written."""
    ways = {
        "export": lambda: prunekit.export(str(folder), remove=[1], to=tmp_path / "out"),
        "recipe": lambda: prunekit.export(
            str(folder), remove=[1], to=tmp_path / "out", format="llama.cpp"
        ),
        "evaluate": lambda: prunekit.evaluate(str(folder), ppl="demo", workdir=tmp_path / "runs"),
        "latency": lambda: prunekit.latency(str(folder), remove=[1], workdir=tmp_path / "runs"),
        "search": lambda: prunekit.search(str(folder), workdir=tmp_path / "runs"),
        "show": lambda: prunekit.show(folder),
    }
    lines = set()
    for name, read in ways.items():
        with pytest.raises(CheckpointError) as caught:
            read()
        assert "\n" not in str(caught.value), name
        lines.add(str(caught.value))
    assert not (tmp_path / "out").exists()
    assert len(lines) == 1, lines
    return lines.pop()


def test_an_adapter_beside_weights_is_refused(folder, tmp_path):
    add(folder / "adapter_config.json", **LORA)
    line = told_everywhere(folder, tmp_path)
    assert "holds an adapter of 'some/base'; load both with peft, merge them" in line
    assert "move adapter_config.json and the adapter's weights away" in line


def test_the_dry_run_refuses_it_too(folder, prunekit):
    add(folder / "adapter_config.json", **LORA)
    status, _, err = prunekit("search", "--model", folder, "--dry-run")
    assert status == 1
    assert "holds an adapter" in err


def test_an_adapter_alone_names_its_base_and_the_merge(tmp_path):
    add(tmp_path / "adapter_config.json", **LORA)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"adapter of 'some/base'.*`merge_and_unload\(\)`"):
        prunekit.export(str(tmp_path), remove=[1], to=tmp_path / "out")


def test_it_is_refused_before_transformers_looks_for_it(folder, monkeypatch):
    """As it does where peft is installed."""
    from transformers.models.auto import auto_factory

    def follow(*args, **kwargs):
        raise AssertionError("transformers follows the adapter")

    monkeypatch.setattr(auto_factory, "is_peft_available", lambda: True)
    monkeypatch.setattr(auto_factory, "find_adapter_config_file", follow)
    with pytest.raises(AssertionError, match="follows the adapter"):
        auto_factory._BaseAutoModelClass.from_pretrained(folder)
    add(folder / "adapter_config.json", **LORA)
    with pytest.raises(CheckpointError, match="holds an adapter"):
        prunekit.search(str(folder))


METHODS = [
    {"quant_method": "gptq", "bits": 4, "group_size": 128},
    {"quant_method": "awq", "bits": 4},
    {"quant_method": "bitsandbytes", "load_in_8bit": True},
    {"quant_method": "fp8", "weight_block_size": [128, 128]},
    {"quant_method": "mxfp4"},
    {"quant_method": "compressed-tensors", "config_groups": {}},
    {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int8WeightOnlyConfig"}}},
    {"quant_method": "one-of-next-year"},
    {"bits": 4},
]


@pytest.mark.parametrize("told", METHODS, ids=lambda told: told.get("quant_method", "unnamed"))
def test_quantised_weights_are_refused_by_their_method(folder, told):
    add(folder / "config.json", quantization_config=told)
    with pytest.raises(CheckpointError, match="is quantised .*only weights that are not") as caught:
        Checkpoint(str(folder)).config()
    assert told.get("quant_method", "quantization_config") in str(caught.value)


def test_quantised_weights_are_refused_everywhere_before_they_are_read(folder, tmp_path):
    add(folder / "config.json", quantization_config=METHODS[0])
    assert "give the model as it was before, and quantise what comes out" in told_everywhere(
        folder, tmp_path
    )


@pytest.mark.parametrize("key", ["quantization_config", "compression_config"])
def test_quantised_parts_of_a_model_are_seen(folder, key):
    add(folder / "config.json", text_config={key: {"quant_method": "gptq"}})
    with pytest.raises(CheckpointError, match="is quantised \\('gptq'"):
        Checkpoint(str(folder)).config()


def test_a_configuration_without_quantisation_may_say_so(folder):
    add(folder / "config.json", quantization_config=None)
    assert Checkpoint(str(folder)).config().num_hidden_layers == 8


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("transformers_weights", "../other/model.safetensors"),
        ("transformers_weights", "adapter_model.bin"),
        ("configuration_files", ["config.1.0.json"]),
        ("attn_implementation", "some/kernel"),
        ("_attn_implementation", "some/kernel:run"),
        ("experts_implementation", {"": "some/kernel"}),
    ],
)
def test_a_configuration_that_leads_elsewhere_is_refused(folder, tmp_path, key, value):
    add(folder / "config.json", **{key: value})
    assert f"`{key.lstrip('_')}` names" in told_everywhere(folder, tmp_path)


def test_a_tokenizer_that_lies_elsewhere_is_refused(folder, tmp_path):
    shutil.copy(folder / "tokenizer.json", tmp_path / "tokenizer.0.1.json")
    add(folder / "tokenizer_config.json", fast_tokenizer_files=["../tokenizer.0.1.json"])
    assert "`fast_tokenizer_files` names" in told_everywhere(folder, tmp_path)


@pytest.mark.parametrize("key", ["tokenizer_file", "vocab_file", "merges_file"])
def test_files_that_a_tokenizer_remembers_are_not_opened(folder, tmp_path, key):
    """Many carry a path of the machine that they were made on."""
    (tmp_path / "elsewhere.json").write_text("no tokenizer")
    before = Checkpoint(str(folder)).tokenizer()("some text").input_ids
    add(folder / "tokenizer_config.json", **{key: str(tmp_path / "elsewhere.json")})
    assert Checkpoint(str(folder)).tokenizer()("some text").input_ids == before


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "README.md", "vocab.txt"])
def test_a_link_out_of_the_folder_is_refused(folder, tmp_path, name, absolute):
    """Whoever packed the folder may have made it."""
    (folder / name).touch()
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere" if absolute else "../elsewhere")
    line = told_everywhere(folder, tmp_path)
    assert f"{folder / name} is a link to a place outside of its folder" in line
    assert "copy the file itself to its place, or give the folder where it lies" in line


def test_so_are_a_link_through_a_link_and_a_shard(folder, tmp_path):
    """The index names a file of the folder, which is a link to another model's weights."""
    (folder / "model.safetensors").rename(tmp_path / "elsewhere.safetensors")
    (folder / "shards").symlink_to("..")
    (folder / "model-00001-of-00001.safetensors").symlink_to("shards/elsewhere.safetensors")
    names = dict.fromkeys(
        load_file(tmp_path / "elsewhere.safetensors"), "model-00001-of-00001.safetensors"
    )
    add(folder / "model.safetensors.index.json", metadata={}, weight_map=names)
    with pytest.raises(CheckpointError, match="model-00001.*is a link to a place outside"):
        Checkpoint(str(folder)).tensors()


def test_and_a_folder_of_templates_that_is_a_link(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "tools.jinja").write_text("x")
    (folder / "additional_chat_templates").symlink_to("../elsewhere")
    with pytest.raises(CheckpointError, match=r"tools.jinja is a link to a place outside"):
        Checkpoint(str(folder)).tokenizer()


def test_links_within_the_folder_to_it_and_beside_the_model_are_no_hindrance(folder, tmp_path):
    (folder / "files").mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).rename(folder / "files" / name)
        (folder / name).symlink_to(f"files/{name}")
    (folder / "train.log").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(folder)
    assert Checkpoint(str(tmp_path / "link")).identity() == Checkpoint(str(folder)).identity()
    assert prunekit.export(str(tmp_path / "link"), remove=[1], to=tmp_path / "out").is_dir()


def test_every_model_that_comes_with_prunekit_is_admitted(registry):
    for name in ("llama3", "llama31", "qwen3"):
        assert find(Spec(f"demo:{name}"), registry).tensors()


def test_what_is_too_short_for_its_blocks_is_told_in_words(folder, tmp_path):
    add(folder / "config.json", layer_types=["full_attention"] * 5)
    line = told_everywhere(folder, tmp_path)
    assert "`num_hidden_layers` (8) must be equal to the number of `layer_types` (5)" in line


def test_a_study_refuses_it_as_well(folder, tmp_path):
    add(folder / "adapter_config.json", **LORA)
    path = tmp_path / "study.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "models": {"m": {"model": str(folder)}},
                "objectives": ["ppl"],
                "searchers": ["greedy"],
                "budgets": 1,
            }
        )
    )
    with pytest.raises(ConfigError, match=r"study.yaml:\d+: .* holds an adapter"):
        prunekit.study(path, workdir=tmp_path / "runs")


@pytest.mark.parametrize("value", ["LlamaForCausalLM", [["LlamaForCausalLM"]], [3], {"a": "b"}, 3])
def test_architectures_that_are_no_list_of_names_are_refused(folder, tmp_path, value):
    add(folder / "config.json", architectures=value)
    assert "`architectures` must be a list of names, not" in told_everywhere(folder, tmp_path)


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors"])
def test_a_link_to_itself_is_refused(folder, tmp_path, name):
    (folder / name).unlink()
    (folder / name).symlink_to(name)
    assert f"{name} is a link that leads nowhere" in told_everywhere(folder, tmp_path)


def test_a_demo_may_lie_behind_links(tmp_path, monkeypatch):
    """As in an editable installation in strict mode, whose files are links."""
    entry = load().get("model", "qwen3")
    for path in entry.cls.demo.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.setattr(entry.cls, "demo", tmp_path)
    found = find(Spec("demo:qwen3"), load())
    assert found.config().model_type == "qwen3"
    with pytest.raises(CheckpointError, match="is a link to a place outside of its folder"):
        Checkpoint(str(tmp_path)).config()
