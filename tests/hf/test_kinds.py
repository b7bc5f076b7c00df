"""A folder that is no language model, or not whole, is refused as what it is."""

import json
import shutil

import pytest
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSeq2SeqLM,
    AutoModelForTokenClassification,
)
from transformers import AutoModelForSequenceClassification as Classifier

import prunekit
from prunekit.core.errors import CheckpointError
from prunekit.hf.checkpoint import Checkpoint

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 10\n"
LLAMA = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "pad_token_id": 0}
T5 = {"d_model": 16, "d_ff": 16, "d_kv": 8, "num_heads": 2, "num_layers": 4}
VIT = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
BART = {
    **{"d_model": 16, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16},
    **{"encoder_attention_heads": 2, "decoder_attention_heads": 2},
}
OTHERS = [
    (AutoModelForSeq2SeqLM, "t5", T5, "an encoder-decoder, T5ForConditionalGeneration"),
    (AutoModelForSeq2SeqLM, "bart", BART, "an encoder-decoder, BartForConditionalGeneration"),
    (Classifier, "llama", LLAMA, "a classifier or reward model, LlamaForSequenceClassification"),
    (
        AutoModelForTokenClassification,
        "qwen3",
        {**LLAMA, "head_dim": 8},
        "a classifier, Qwen3ForTokenClassification",
    ),
    (AutoModel, "vit", VIT, "no language model that transformers loads, ViTModel"),
]


@pytest.fixture
def saved(demo_tokenizer, tmp_path):
    def make(kind, model_type, settings):
        config = AutoConfig.for_model(model_type, vocab_size=len(demo_tokenizer), **settings)
        kind.from_config(config).save_pretrained(tmp_path / "model")
        demo_tokenizer.save_pretrained(tmp_path / "model")
        return tmp_path / "model"

    return make


@pytest.fixture
def folder(tiny_model, tmp_path):
    return shutil.copytree(tiny_model(), tmp_path / "model")


def the_line(call):
    with pytest.raises(CheckpointError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    assert "damaged" not in line
    return line


@pytest.mark.parametrize("adapter", [None, "hf-decoder", "llama3"])
@pytest.mark.parametrize(("kind", "model_type", "settings", "what"), OTHERS)
def test_a_model_of_another_kind_is_called_one(
    saved, tmp_path, kind, model_type, settings, what, adapter
):
    folder = str(saved(kind, model_type, settings))
    for call in (
        lambda: prunekit.search(folder, adapter=adapter, workdir=tmp_path / "runs"),
        lambda: prunekit.export(folder, adapter=adapter, remove=[1], to=tmp_path / "out"),
    ):
        line = the_line(call)
        assert line.startswith(f"{folder} is {what}; expected a model that predicts the next token")
        assert "--adapter" not in line


def test_a_model_without_its_head_is_called_by_the_class_that_saved_it(saved, tmp_path):
    folder = saved(AutoModel, "llama", LLAMA)
    line = the_line(lambda: prunekit.export(str(folder), remove=[1], to=tmp_path / "out"))
    assert "saved as LlamaModel, and it is read as LlamaForCausalLM" in line


@pytest.mark.parametrize("left", [(), ("tokenizer_config.json",)])
def test_a_folder_without_a_tokenizer_says_so_and_what_to_do(folder, tmp_path, left):
    for name in {"tokenizer.json", "tokenizer_config.json"} - set(left):
        (folder / name).unlink()
    line = the_line(lambda: prunekit.search(str(folder), workdir=tmp_path / "runs"))
    assert line.startswith(f"{folder} holds no tokenizer, such as tokenizer.json")
    assert "copy the tokenizer's files from the model that it was made from" in line


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer.json",
        "tokenizer.model",
        "model.safetensors",
        "config.json",
        "vocab.txt",
        "LICENSE",
    ],
)
def test_a_pointer_of_git_lfs_is_called_one_wherever_it_is(folder, tmp_path, name):
    (folder / name).write_bytes(POINTER)
    for call in (
        lambda: prunekit.search(str(folder), workdir=tmp_path / "runs"),
        lambda: prunekit.export(str(folder), remove=[1], to=tmp_path / "out"),
    ):
        assert f"{folder / name} is a pointer of git-lfs, not the file itself" in the_line(call)


def test_a_pointer_to_weights_that_nothing_reads_is_no_hindrance(folder, tmp_path):
    (folder / "consolidated.safetensors").write_bytes(POINTER)
    assert prunekit.export(str(folder), remove=[1], to=tmp_path / "out").is_dir()


@pytest.mark.parametrize("given", ["models--some--model", "models--some--model/snapshots"])
def test_the_cache_of_the_hub_names_its_snapshots(tiny_model, tmp_path, given):
    place = tmp_path / "models--some--model" / "snapshots"
    for commit in ("abc", "def"):
        shutil.copytree(tiny_model(), place / commit)
    line = the_line(lambda: prunekit.search(str(tmp_path / given), workdir=tmp_path / "runs"))
    assert f"give the folder inside that does: {place / 'abc'} or {place / 'def'}" in line


STALE = {"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}


@pytest.mark.parametrize("text", [json.dumps(STALE), "nonsense"])
def test_an_index_beside_a_single_file_changes_nothing(folder, tiny_model, tmp_path, text):
    """transformers reads the single file as well."""
    from prunekit.hf.checkpoint import Checkpoint

    (folder / "model.safetensors.index.json").write_text(text)
    mine, whole = Checkpoint(str(folder)), Checkpoint(str(tiny_model()))
    assert mine.identity() == whole.identity()
    assert mine.dtype() == whole.dtype()
    assert mine.tensors().keys() == whole.tensors().keys()
    to = prunekit.export(str(folder), remove=[1], to=tmp_path / "out")
    clean = prunekit.export(str(tiny_model()), remove=[1], to=tmp_path / "clean")
    assert not (to / "model.safetensors.index.json").exists()
    for name in ("model.safetensors", "config.json"):
        assert (to / name).read_bytes() == (clean / name).read_bytes()


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_an_attention_kernel_that_is_not_installed_is_named(folder, tmp_path, key):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: "flash_attention_2"}))
    line = the_line(lambda: prunekit.export(str(folder), remove=[1], to=tmp_path / "out"))
    assert "asks for an attention kernel that is not installed here; install it, or choose" in line


def test_a_tokenizer_that_does_not_run_is_named(tiny_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model(), folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_max_length": {"a": 1}}))
    with pytest.raises(CheckpointError, match="the tokenizer cannot be read"):
        Checkpoint(str(folder)).tokenizer()
