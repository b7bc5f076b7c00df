"""GGUF files: read as models, and written without blocks, byte for byte."""

import contextlib
import json
import os
import random
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from rich.console import Console

import prunekit
from prunekit.core import CheckpointError, ConfigError, PrunekitError
from prunekit.hf import gguf_checkpoint
from prunekit.hf.gguf_file import read_gguf
from prunekit.hf.gguf_pruned import shortened
from prunekit.hf.layer_fields import Kept
from prunekit.plugins.commands.export.printing import show_written
from prunekit.plugins.commands.show.command import print_shown

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
BLOCKS = 6
PATTERN = [True, True, False, True, True, False]


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch, proven_once):
    monkeypatch.setattr(
        "huggingface_hub.constants.HF_ASSETS_CACHE", str(tmp_path_factory.mktemp("assets"))
    )


@pytest.fixture(scope="module")
def folder(tiny_model):
    return tiny_model("qwen3", n_blocks=BLOCKS, tie_word_embeddings=False, head_dim=128)


@pytest.fixture(scope="module")
def gguf(folder, tmp_path_factory):
    """The same model as a file, with an array of one entry per block."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write(path, folder)
    return path


def write(path, folder, arch="qwen3", weights=True, rope_type=None, array="kinds", **more):
    import gguf
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config, writer = AutoConfig.from_pretrained(folder), gguf.GGUFWriter(path, arch)
    writer.add_block_count(BLOCKS)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_array(f"{arch}.attention.{array}", PATTERN)
    for key, value in more.items():
        writer.add_uint32(key.replace("__", "."), value)
    if rope_type:
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope_type))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([word for word, _ in words])
    writer.add_token_types([1] * len(words))
    model = tokenizer.backend_tokenizer.to_str()
    merges = json.loads(model)["model"]["merges"]
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    if weights:
        loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        for name, tensor in loaded.state_dict().items():
            writer.add_tensor(renamed(name), tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def renamed(name):
    stem = name.removesuffix(".weight")
    if stem.startswith("model.layers."):
        number, _, rest = stem.removeprefix("model.layers.").partition(".")
        return f"blk.{number}.{NAMES[rest]}.weight"
    return f"{NAMES[stem]}.weight"


def contents(path):
    file, data = read_gguf(path), path.read_bytes()
    return {t.name: (t.shape, t.kind, data[t.offset : t.offset + t.size]) for t in file.tensors}


QUICK = {"searcher": "one-shot", "budget": 2, "finalists": 0}
TEXT = {"data": "demo", "samples": 2, "length": 16}


def test_it_is_the_model_that_it_was_made_of(gguf, folder):
    made = gguf_checkpoint.checkpoint_of_gguf(gguf)
    assert logits(made) == pytest.approx(logits(folder), abs=1e-6)


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


def test_a_conversion_that_was_stopped_leaves_nothing_that_counts(gguf, monkeypatch):
    def stopped(file, dtype):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(gguf_checkpoint, "model_of_gguf", stopped)
        with pytest.raises(KeyboardInterrupt):
            gguf_checkpoint.checkpoint_of_gguf(gguf)
    made = gguf_checkpoint.checkpoint_of_gguf(gguf)
    assert [path for path in made.parent.iterdir() if path.is_dir()] == [made]


def test_it_is_written_without_blocks_byte_for_byte(gguf, folder, tmp_path):
    to = prunekit.export(str(gguf), remove=[1, 2], to=tmp_path / "pruned.gguf")
    kept, source, written = [0, 3, 4, 5], contents(gguf), contents(to)
    expected = {name: t for name, t in source.items() if not name.startswith("blk.")}
    for new, old in enumerate(kept):
        for name, t in source.items():
            if name.startswith(f"blk.{old}."):
                expected[name.replace(f".{old}.", f".{new}.", 1)] = t
    assert written == expected
    before, after = read_gguf(gguf).fields, read_gguf(to).fields
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"qwen3.block_count", "qwen3.attention.kinds"}
    assert [*before, "prunekit.provenance"] == list(after)
    assert after["qwen3.block_count"].value == 4
    assert after["qwen3.attention.kinds"].value == [PATTERN[i] for i in kept]
    gone = sum(len(t[2]) for name, t in source.items() if name.startswith(("blk.1.", "blk.2.")))
    assert gguf.stat().st_size - to.stat().st_size == pytest.approx(gone, rel=0.05)
    assert logits(to.parent, gguf_file=to.name) == pytest.approx(without(folder, kept), abs=1e-5)


def logits(folder, **more):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **more)
    return run(model)


def without(folder, kept):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    layers = model.model.layers
    model.model.layers = torch.nn.ModuleList([layers[i] for i in kept])
    return run(model)


def run(model):
    with torch.no_grad():
        return model(torch.tensor([[5, 6, 7, 8, 9]]), use_cache=False).logits.flatten().tolist()


def test_llama_cpp_continues_as_the_model_without_its_blocks(gguf, folder, tmp_path):
    llama = pytest.importorskip("xllamacpp", reason="needs llama.cpp: pip install xllamacpp")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    to = prunekit.export(str(gguf), remove=[1, 2], to=tmp_path / "pruned.gguf")
    params = llama.CommonParams()
    params.model.path, params.n_ctx, params.warmup = str(to), 64, False
    asked = {"prompt": [5, 6, 7, 8, 9], "max_tokens": 16, "temperature": 0}
    found = llama.Server(params).handle_completions(asked)["choices"][0]["text"]

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    layers = model.model.layers
    model.model.layers = torch.nn.ModuleList([layers[i] for i in (0, 3, 4, 5)])
    model.config.num_hidden_layers = 4
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    tokens = model.generate(ids, max_new_tokens=16, do_sample=False, use_cache=False)[0, 5:]
    assert found == AutoTokenizer.from_pretrained(folder).decode(tokens)


def test_numbers_that_say_where_kinds_repeat(folder, tmp_path):
    path = tmp_path / "kinds.gguf"
    more = {"qwen3__leading_dense_block_count": 3, "qwen3__full_attention_interval": 3}
    write(path, folder, **more)
    file = read_gguf(path)
    fields = shortened(file, Kept((0, 1, 2), BLOCKS))
    assert fields["qwen3.leading_dense_block_count"].value == 3
    assert shortened(file, Kept((3, 4, 5), BLOCKS))["qwen3.leading_dense_block_count"].value == 0
    to = tmp_path / "pruned.gguf"
    with pytest.raises(CheckpointError, match="do not; search with --keep-pattern"):
        prunekit.export(str(path), remove=[1], to=to)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kinds.gguf"]


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


def test_what_is_no_whole_model(folder, gguf, tmp_path, monkeypatch):
    path = tmp_path / "a.gguf"
    write(path, folder, weights=False)
    refused(path, "holds no weights, only a vocabulary")
    write(path, folder, split__count=3)
    refused(path, "one of 3 parts; join them")
    write(path, folder, arch="unheard")
    refused(path, "has the architecture 'unheard', which transformers")
    path.write_bytes(struct.pack("<4sI", b"GGUF", 9) + bytes(100))
    refused(path, "has version 9")
    monkeypatch.setattr(gguf_checkpoint.importlib.util, "find_spec", lambda name: None)
    refused(gguf, r'pip install "prunekit\[gguf\]"')


def test_what_transformers_leaves_out_is_refused(folder, tmp_path):
    path = tmp_path / "a.gguf"
    write(path, folder, rope_type="linear")
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


def test_a_search_writes_what_it_chose_as_a_file(gguf, tmp_path, capsys):
    to = tmp_path / "saved.gguf"
    found = prunekit.search(str(gguf), ppl=TEXT, workdir=tmp_path, save=to, **QUICK)
    expected = prunekit.export(run=found.run, workdir=tmp_path, to=tmp_path / "exported.gguf")
    assert contents(to) == contents(expected)
    assert prunekit.show(to).record["search"]["removed"] == list(found.removed)
    show_written(to, Console(width=200))
    assert f"run it       llama-cli -m {to}" in capsys.readouterr().out


def test_a_search_that_could_not_write_a_file_is_refused_before_it_begins(gguf, folder, tmp_path):
    with pytest.raises(ConfigError, match="only a model that is read from a .gguf file"):
        prunekit.search(str(folder), ppl=TEXT, save=tmp_path / "to.gguf", workdir=tmp_path, **QUICK)
    repaired = {**QUICK, "repair": "magnitude", "save": tmp_path / "to.gguf"}
    with pytest.raises(ConfigError, match="a repair changes weights"):
        prunekit.search(str(gguf), ppl=TEXT, workdir=tmp_path, **repaired)
    with pytest.raises(ConfigError, match="this writes a folder"):
        prunekit.heal(str(gguf), remove=[1], to=tmp_path / "to.gguf", workdir=tmp_path)
    with pytest.raises(ConfigError, match="this writes a folder"):
        prunekit.draft(str(gguf), to=tmp_path / "to.gguf", workdir=tmp_path)
    assert not (tmp_path / "runs").exists()


def test_a_file_says_what_was_removed_from_it_each_time(gguf, tmp_path, capsys):
    found = prunekit.search(model=str(gguf), ppl=TEXT, workdir=tmp_path, **QUICK)
    once = prunekit.export(run=found.run, workdir=tmp_path, to=tmp_path / "once.gguf")
    record = prunekit.show(once).record
    assert record["removed"] == list(found.removed)
    assert (record["model"], record["blocks"]) == (gguf.name, BLOCKS)
    assert record["search"]["searcher"] == "one-shot"
    print_shown(prunekit.show(once))
    assert f"made from {gguf.name}" in capsys.readouterr().out

    twice = prunekit.export(str(once), remove=[0], to=tmp_path / "twice.gguf")
    record = prunekit.show(twice).record
    first = min(set(range(BLOCKS)) - set(found.removed))
    assert record["removed_of_first"] == sorted({*found.removed, first})
    assert [step["removed"] for step in record["before"]] == [list(found.removed)]
    folder = prunekit.export(str(once), remove=[0], to=tmp_path / "twice")
    assert prunekit.show(folder).record["removed_of_first"] == record["removed_of_first"]


def test_a_pruned_file_is_evaluated_beside_the_one_it_was_made_from(gguf, tmp_path):
    pruned = prunekit.export(str(gguf), remove=[1], to=tmp_path / "pruned.gguf")
    (tmp_path / gguf.name).symlink_to(gguf)
    found = prunekit.evaluate(str(pruned), ppl="demo", ppl_samples=2, workdir=tmp_path)
    row = found.perplexities["demo"]
    expected = prunekit.evaluate(str(gguf), remove=[1], ppl="demo", ppl_samples=2, workdir=tmp_path)
    assert row.pruned == pytest.approx(expected.perplexities["demo"].pruned, rel=1e-5)
    assert row.dense == pytest.approx(expected.perplexities["demo"].dense, rel=1e-5)


def test_a_file_with_a_damaged_record_is_one_line(gguf, tmp_path):
    pruned = prunekit.export(str(gguf), remove=[1], to=tmp_path / "pruned.gguf")
    data = pruned.read_bytes()
    for old, new in ((b'"removed": [1]', b'"removed": [9]'), (b'{"schema"', b'["schema"')):
        (tmp_path / "bad.gguf").write_bytes(data.replace(old, new))
        with pytest.raises(ConfigError, match="bad.gguf, prunekit.provenance.*export the model"):
            prunekit.show(tmp_path / "bad.gguf")


def test_what_cannot_be_written_as_one(gguf, folder, tmp_path):
    to = tmp_path / "out.gguf"
    for model, words in (
        (folder, {}),
        (gguf, {"dtype": "float16"}),
        (gguf, {"format": "mergekit"}),
    ):
        with pytest.raises(ConfigError, match="out.gguf: "):
            prunekit.export(str(model), remove=[1], to=to, **words)
        assert not to.exists()
