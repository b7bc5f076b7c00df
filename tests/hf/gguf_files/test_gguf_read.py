"""GGUF files as models."""

import contextlib
import json
import os
import random
import shutil
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import prunekit
from prunekit.core import CheckpointError, PrunekitError
from prunekit.core.spec import Spec
from prunekit.hf import gguf_checkpoint, gguf_file
from prunekit.hf.checkpoint import find
from prunekit.hf.gguf_file import read_gguf
from prunekit.plugins.commands.show.command import print_shown

BLOCKS = 6
QUICK = {"searcher": "one-shot", "budget": 2, "finalists": 0}
TEXT = {"data": "demo", "samples": 2, "length": 16}


def test_it_is_the_model_that_it_was_made_of(gguf, folder):
    made = gguf_checkpoint.checkpoint_of_gguf(gguf)
    assert logits(made) == pytest.approx(logits(folder), abs=1e-6)


def logits(folder, **more):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **more)
    return run(model)


def run(model):
    with torch.no_grad():
        return model(torch.tensor([[5, 6, 7, 8, 9]]), use_cache=False).logits.flatten().tolist()


def test_a_search_takes_the_file_and_names_it(gguf, tmp_path):
    found = prunekit.search(model=str(gguf), ppl=TEXT, workdir=tmp_path, **QUICK)
    assert found.model == str(gguf)
    to = prunekit.export(run=found.run, workdir=tmp_path, to=tmp_path / "pruned.gguf")
    assert read_gguf(to).number("qwen3.block_count") == BLOCKS - 2


def test_it_is_converted_once_wherever_it_is(gguf, tmp_path, monkeypatch):
    first = gguf_checkpoint.checkpoint_of_gguf(gguf)
    copied = tmp_path / "other name.gguf"
    copied.write_bytes(gguf.read_bytes())
    (tmp_path / "link.gguf").symlink_to(copied)
    monkeypatch.setattr(gguf_checkpoint, "model_of_gguf", None)
    assert gguf_checkpoint.checkpoint_of_gguf(copied) == first
    assert gguf_checkpoint.checkpoint_of_gguf(tmp_path / "link.gguf") == first


def test_what_an_earlier_version_made_of_it_is_not_used(gguf, monkeypatch):
    first = gguf_checkpoint.checkpoint_of_gguf(gguf)
    monkeypatch.setattr(gguf_checkpoint, "READING", gguf_checkpoint.READING + 1)
    assert gguf_checkpoint.checkpoint_of_gguf(gguf) != first


def test_its_identity_is_that_of_the_file_whoever_converts_it(gguf, tmp_path, registry):
    copied = shutil.copy(gguf, tmp_path / "copied.gguf")
    before = find(Spec(str(gguf)), registry).identity()
    config = gguf_checkpoint.checkpoint_of_gguf(gguf) / "config.json"
    config.write_text(config.read_text().replace("transformers_version", "converted_by"))
    assert find(Spec(str(copied)), registry).identity() == before

    changed = bytearray(gguf.read_bytes())
    changed[-1] ^= 1
    copied.write_bytes(changed)
    assert find(Spec(str(copied)), registry).identity() != before


def test_a_conversion_that_was_stopped_leaves_nothing_that_counts(gguf, monkeypatch):
    def stopped(file, dtype):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(gguf_checkpoint, "model_of_gguf", stopped)
        with pytest.raises(KeyboardInterrupt):
            gguf_checkpoint.checkpoint_of_gguf(gguf)
    made = gguf_checkpoint.checkpoint_of_gguf(gguf)
    assert [path for path in made.parent.iterdir() if path.is_dir()] == [made]


def refused(path, match, **words):
    with pytest.raises(PrunekitError, match=match) as error:
        prunekit.export(str(path), **{"remove": [1], "to": path.parent / "out", **words})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("length", [0, 3, 20, 200, 5000, -100])
def test_a_file_that_is_cut(gguf, tmp_path, length):
    path = tmp_path / "cut.gguf"
    path.write_bytes(gguf.read_bytes()[:length])
    refused(path, "damaged or truncated|no GGUF file|cannot read")


@pytest.mark.parametrize("seed", range(30))
def test_damage_is_an_error_of_the_file_at_most(gguf, tmp_path, seed):
    rng, data = random.Random(seed), bytearray(gguf.read_bytes())
    for _ in range(3):
        data[rng.randrange(4, 400)] = rng.randrange(256)
    path = tmp_path / "damaged.gguf"
    path.write_bytes(data)
    with contextlib.suppress(CheckpointError):  # and nothing else
        read_gguf(path)


def test_what_is_no_whole_model(folder, gguf, write, tmp_path, monkeypatch):
    path = tmp_path / "a.gguf"
    write(path, folder, weights=False)
    refused(path, "holds no weights, only a vocabulary")
    write(path, folder, split__count=3)
    refused(path, "one of 3 parts; join them")
    write(path, folder, arch="unheard")
    refused(path, "has the architecture 'unheard', which transformers")
    path.write_bytes(struct.pack("<4sI", b"GGUF", 9) + bytes(100))
    refused(path, "has version 9")
    monkeypatch.setattr(gguf_file.importlib.util, "find_spec", lambda name: None)
    refused(gguf, r'pip install "prunekit\[gguf\]"')


SCALED = {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}


@pytest.fixture
def scaled_llama(tiny_model, tmp_path):
    """A folder with scaled rotary embeddings: `scaled_llama(rope_type="linear", factor=4.0)`."""

    def make(**rope):
        folder = tmp_path / "llama"
        shutil.copytree(tiny_model("llama3", n_blocks=2, head_dim=32), folder)
        config = json.loads((folder / "config.json").read_text())
        config["rope_parameters"] = {"rope_theta": 500_000.0, **rope}
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return make


def divisors_of(folder):
    """What llama.cpp's converter writes, by transformers' own frequencies."""
    from transformers import AutoConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    config = AutoConfig.from_pretrained(folder)
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    plain = 1 / config.rope_parameters["rope_theta"] ** (torch.arange(0, 32, 2) / 32)
    return (plain / scaled).numpy()


@pytest.mark.parametrize("factor", [8.0, 32.0])
def test_the_scaling_of_llama_3_is_found_again(scaled_llama, write, tmp_path, factor):
    rope = {**SCALED, "factor": factor, "original_max_position_embeddings": 8192}
    folder = scaled_llama(**rope)
    divisors = divisors_of(folder)
    assert (divisors.min(), divisors.max()) == (1, factor)
    write(tmp_path / "a.gguf", folder, arch="llama", divisors=divisors)
    made = gguf_checkpoint.checkpoint_of_gguf(tmp_path / "a.gguf")
    assert logits(made) == pytest.approx(logits(folder), abs=1e-6)
    found = json.loads((made / "config.json").read_text())["rope_parameters"]
    assert found == {"rope_theta": 500_000.0, **rope}


def test_a_linear_scaling_is_read(scaled_llama, write, tmp_path):
    folder = scaled_llama(rope_type="linear", factor=4.0)
    write(tmp_path / "a.gguf", folder, arch="llama", rope_type="linear")
    made = gguf_checkpoint.checkpoint_of_gguf(tmp_path / "a.gguf")
    assert logits(made) == pytest.approx(logits(folder), abs=1e-6)


@pytest.mark.parametrize("key", ["scaling__factor", "scale_linear"])
def test_a_factor_alone_is_a_linear_scaling(scaled_llama, write, tmp_path, key):
    folder = scaled_llama(rope_type="linear", factor=4.0)
    write(tmp_path / "a.gguf", folder, arch="llama", **{f"llama__rope__{key}": 4})
    made = gguf_checkpoint.checkpoint_of_gguf(tmp_path / "a.gguf")
    assert logits(made) == pytest.approx(logits(folder), abs=1e-6)


def test_a_scaling_of_blocks_of_several_kinds_is_refused(demo_tokenizer, write, tmp_path):
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    width = {"hidden_size": 32, "intermediate_size": 64, "head_dim": 16}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    config = Gemma3TextConfig(num_hidden_layers=6, vocab_size=len(demo_tokenizer), **width, **heads)
    Gemma3ForCausalLM(config).save_pretrained(tmp_path / "gemma")
    demo_tokenizer.save_pretrained(tmp_path / "gemma")
    factor = {"gemma3__rope__scaling__factor": 8}
    write(tmp_path / "a.gguf", tmp_path / "gemma", arch="gemma3", **factor)
    refused(tmp_path / "a.gguf", "no word of the scaling of its rotary embeddings")


def test_another_scaling_is_refused(scaled_llama, write, tmp_path):
    rope = {**SCALED, "factor": 8.0, "original_max_position_embeddings": 2048}
    folder = scaled_llama(**rope)
    write(tmp_path / "a.gguf", folder, arch="llama", divisors=divisors_of(folder))
    refused(tmp_path / "a.gguf", "no word of the scaling of its rotary embeddings")


def test_what_transformers_leaves_out_is_refused(folder, write, tmp_path):
    path = tmp_path / "a.gguf"
    write(path, folder, rope_type="yarn")
    refused(path, "no word of the scaling of its rotary embeddings")
    write(path, folder, array="sliding_window_pattern")
    refused(path, "no word of which of its blocks have sliding attention")


def test_nothing_beside_the_file_is_read(gguf, tmp_path):
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf.read_bytes())
    for name in ("adapter_config.json", "config.json", "tokenizer_config.json"):
        (tmp_path / name).write_text("{ this is not JSON")
    assert gguf_checkpoint.checkpoint_of_gguf(path).is_dir()


def test_a_full_disk_is_named(gguf, monkeypatch):
    from transformers import PreTrainedModel

    def full(*given, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", full)
    refused(gguf, "cannot be written .*No space left on device.* set HF_HOME")


def test_arrays_in_arrays_without_end_are_damage(tmp_path):
    path = tmp_path / "deep.gguf"
    nested = struct.pack("<IQ", 9, 1) * 20_000
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + text("a") + b"\t\0\0\0" + nested)
    refused(path, "damaged or truncated")


def text(word):
    return struct.pack("<Q", len(word)) + word.encode()


def test_a_folder_or_nothing_of_that_name(tmp_path, folder):
    refused(tmp_path / "gone.gguf", "no such folder or file")
    with pytest.raises(CheckpointError, match="gone.gguf: no such folder or file"):
        prunekit.export("gone.gguf", remove=[1], to=tmp_path / "out")
    os.mkdir(tmp_path / "empty.gguf")
    refused(tmp_path / "empty.gguf", "empty.gguf")


def test_two_that_convert_at_once_convert_once(gguf, monkeypatch):
    made = []
    convert = gguf_checkpoint._convert

    def slowly(file, folder):
        made.append(folder)
        time.sleep(0.3)
        convert(file, folder)

    monkeypatch.setattr(gguf_checkpoint, "_convert", slowly)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(gguf_checkpoint.checkpoint_of_gguf, [gguf, gguf])
    assert (made, other) == ([one], one)


def test_show_describes_a_file(gguf, folder, capsys):
    shown = prunekit.show(gguf)
    checkpoint = prunekit.show(folder)
    assert (shown.model_type, shown.n_blocks, shown.record) == ("qwen3", BLOCKS, None)
    assert shown.parameters == checkpoint.parameters == sum(shown.dtypes.values())
    assert shown.weight_bytes < gguf.stat().st_size
    print_shown(shown)
    printed = capsys.readouterr().out
    assert f"qwen3, {BLOCKS} blocks, {shown.parameters:,} parameters" in printed
    assert "MB in 1 GGUF file" in printed
