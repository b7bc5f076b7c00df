"""Files by which mergekit and llama.cpp make the same model."""

import itertools
import json
import os
import random
import shutil
import subprocess

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import PreTrainedModel

import prunekit
from prunekit.core import ConfigError, PrunekitError
from prunekit.plugins.commands.export.recipes import kept_ranges


def merged(recipe, folder):
    """What a passthrough merge makes: the slices one after the other, everything else as it is."""
    weights = load_file(folder / "model.safetensors")
    made = {name: tensor for name, tensor in weights.items() if ".layers." not in name}
    place = 0
    for part in recipe["slices"]:
        (source,) = part["sources"]
        assert source["model"] == str(folder)
        for block in range(*source["layer_range"]):
            for name, tensor in weights.items():
                if f".layers.{block}." in name:
                    made[name.replace(f".layers.{block}.", f".layers.{place}.")] = tensor
            place += 1
    return made


@pytest.mark.parametrize("removed", [[0], [7], [1, 2, 5], [0, 2, 4, 6], [1, 2, 3, 4, 5, 6, 7]])
def test_a_passthrough_merge_gives_the_weights_that_export_writes(tiny_model, tmp_path, removed):
    model = tiny_model()
    to = prunekit.export(str(model), remove=removed, to=tmp_path / "a.yaml", format="mergekit")
    recipe = yaml.safe_load(to.read_text())
    assert (recipe["merge_method"], recipe["dtype"]) == ("passthrough", "float32")
    ours = prunekit.export(str(model), remove=removed, to=tmp_path / "pruned")
    expected, made = load_file(ours / "model.safetensors"), merged(recipe, model)
    assert made.keys() == expected.keys()
    assert all(torch.equal(made[name], expected[name]) for name in made)


def test_the_ranges_hold_the_kept_blocks_in_their_order():
    rng = random.Random(0)
    for _ in range(300):
        n = rng.randint(2, 48)
        removed = frozenset(rng.sample(range(n), rng.randint(1, n - 1)))
        ranges = kept_ranges(removed, n)
        kept = [block for a, b in ranges for block in range(a, b)]
        assert kept == [block for block in range(n) if block not in removed]
        assert all(first[1] < second[0] for first, second in itertools.pairwise(ranges))


def test_a_path_that_looks_like_a_revision_is_told_as_a_path(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model(), tmp_path / "a@b+c")
    to = prunekit.export(str(folder), remove=[1], to=tmp_path / "a.yaml", format="mergekit")
    (first, _) = yaml.safe_load(to.read_text())["slices"]
    assert first["sources"][0]["model"] == {"model": {"path": str(folder)}}


@pytest.mark.parametrize("said", ["float32", "float16", "bfloat16", None])
def test_the_dtype_is_that_of_the_files_whatever_the_configuration_says(tiny_model, tmp_path, said):
    source = prunekit.export(str(tiny_model()), remove=[1], to=tmp_path / "m", dtype="bfloat16")
    config = json.loads((source / "config.json").read_text())
    config = {**config, "dtype": said, "torch_dtype": said}
    (source / "config.json").write_text(json.dumps(config))
    to = prunekit.export(str(source), remove=[1], to=tmp_path / "a.yaml", format="mergekit")
    assert yaml.safe_load(to.read_text())["dtype"] == "bfloat16"


def test_another_dtype_is_asked_of_mergekit_but_not_of_llama_cpp(tiny_model, tmp_path):
    given = {"remove": [1], "dtype": "bfloat16"}
    to = prunekit.export(str(tiny_model()), to=tmp_path / "a.yaml", format="mergekit", **given)
    assert yaml.safe_load(to.read_text())["dtype"] == "bfloat16"
    with pytest.raises(ConfigError, match="llama-quantize takes the type when the script runs"):
        prunekit.export(str(tiny_model()), to=tmp_path / "a.sh", format="llama.cpp", **given)


@pytest.mark.parametrize(("more", "kind"), [([], "COPY"), (["Q8_0"], "Q8_0")])
def test_the_script_prunes_a_gguf_with_llama_quantize(tiny_model, tmp_path, more, kind):
    model = str(tiny_model("qwen3"))
    to = prunekit.export(model, remove=[5, 2, 7], to=tmp_path / "a.sh", format="llama.cpp")
    fake = tmp_path / "llama-quantize"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", str(to), "my model.gguf", "out.gguf", *more]
    done = subprocess.run(command, env=path, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:-1] == [
        "--prune-layers",
        "2,5,7",
        "my model.gguf",
        "out.gguf",
        kind,
    ]


ODD = [
    "m\ntouch PWNED\n#x",
    "m\rtouch PWNED\r#x",
    "m'; touch PWNED; '",
    'm"; touch PWNED; "',
    "$(touch PWNED)`touch PWNED`",
    "m\x85- touch: PWNED\u2028merge_method: other\nmerge_method: other\n#",
]


@pytest.mark.parametrize("name", ODD)
def test_a_script_runs_no_word_of_the_names_in_it(tiny_model, tmp_path, name):
    model = shutil.copytree(tiny_model(), tmp_path / name)
    to = prunekit.export(str(model), remove=[2], to=tmp_path / f"{name}.sh", format="llama.cpp")
    place = tmp_path / "place"
    place.mkdir()
    (place / "llama-quantize").write_text('#!/bin/sh\nprintf "%s " "$@"\n')
    (place / "llama-quantize").chmod(0o755)
    path = {**os.environ, "PATH": f"{place}:{os.environ['PATH']}"}
    command = ["sh", str(to), "a.gguf", "b.gguf"]
    done = subprocess.run(command, cwd=place, env=path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("--prune-layers 2 a.gguf b.gguf COPY ", "")
    assert os.listdir(place) == ["llama-quantize"]


@pytest.mark.parametrize("name", ODD)
def test_a_recipe_for_mergekit_holds_names_as_values_only(tiny_model, tmp_path, name):
    model = shutil.copytree(tiny_model(), tmp_path / name)
    to = prunekit.export(str(model), remove=[2], to=tmp_path / f"{name}.yaml", format="mergekit")
    assert yaml.safe_load(to.read_text()) == {
        "slices": [
            {"sources": [{"model": str(model), "layer_range": kept}]} for kept in ([0, 2], [3, 8])
        ],
        "merge_method": "passthrough",
        "dtype": "float32",
    }


@pytest.mark.parametrize("form", ["mergekit", "llama.cpp"])
def test_no_weights_are_loaded(tiny_model, tmp_path, monkeypatch, form):
    def load(*args, **kwargs):
        raise OSError("weights are loaded")

    monkeypatch.setattr(PreTrainedModel, "from_pretrained", load)
    given = {"remove": [1], "to": tmp_path / "file"}
    with pytest.raises(PrunekitError, match="weights are loaded"):
        prunekit.export(str(tiny_model()), **given)
    assert prunekit.export(str(tiny_model()), **given, format=form).is_file()


@pytest.mark.parametrize(
    ("family", "form", "message"),
    [
        ("qwen3", "mergekit", "block by block: layer_types"),
        ("qwen3-sliding", "mergekit", "block by block: .*layer_types"),
        ("qwen3-sliding", "llama.cpp", "its blocks differ \\(layer_types\\)"),
        ("gemma2", "llama.cpp", "its blocks differ \\(layer_types\\)"),
        ("deepseek", "mergekit", "first_k_dense_replace"),
        ("deepseek", "llama.cpp", "first_k_dense_replace"),
        ("jamba", "llama.cpp", "`expert_layer_period` cannot say which blocks stay"),
    ],
)
def test_what_a_tool_would_get_wrong_is_refused(tiny_model, tmp_path, family, form, message):
    if family in ("deepseek", "jamba"):
        folder = tmp_path / family
        folder.mkdir()
        kinds = {"deepseek": "deepseek_v3", "jamba": "jamba"}
        (folder / "config.json").write_text(f'{{"model_type": "{kinds[family]}"}}')
        (folder / "model.safetensors").write_bytes(b"")
    else:
        folder = tiny_model(family)
    with pytest.raises(PrunekitError, match=message):
        prunekit.export(str(folder), remove=[1], to=tmp_path / "file", format=form)
    assert not (tmp_path / "file").exists()


def test_what_stands_is_never_overwritten(tiny_model, tmp_path):
    (tmp_path / "a.yaml").write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        prunekit.export(str(tiny_model()), remove=[1], to=tmp_path / "a.yaml", format="mergekit")
    assert (tmp_path / "a.yaml").read_text() == "mine"


def test_mistakes_are_named(tiny_model, tmp_path):
    with pytest.raises(ConfigError, match="no format is called 'gguf'. Known: hf, llama.cpp, mer"):
        prunekit.export(str(tiny_model()), remove=[1], to=tmp_path / "a", format="gguf")
    with pytest.raises(ConfigError, match="no such block: 8; this model has blocks 0 to 7"):
        prunekit.export(str(tiny_model()), remove=[8], to=tmp_path / "a", format="llama.cpp")


def test_a_run_whose_model_changed_is_refused(quick, tiny_model, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for path in tiny_model().iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    run = prunekit.search(**{**quick, "model": str(folder), "searcher": "one-shot"}).run
    to = prunekit.export(run=run, to=tmp_path / "a.sh", format="llama.cpp")
    assert "--prune-layers" in to.read_text()
    other = tiny_model("llama3", n_blocks=8, intermediate_size=48)
    (folder / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    with pytest.raises(ConfigError, match="its weights have changed"):
        prunekit.export(run=run, to=tmp_path / "b.sh", format="llama.cpp")
