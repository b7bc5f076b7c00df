"""GGUF files without some of their blocks, byte for byte."""

from dataclasses import replace

import pytest
import torch
from rich.console import Console

import prunekit
from prunekit.core import CheckpointError, ConfigError
from prunekit.hf.gguf_file import read_gguf
from prunekit.hf.gguf_pruned import shortened
from prunekit.hf.layer_fields import Kept
from prunekit.plugins.commands.export.printing import show_written
from prunekit.plugins.commands.show.command import print_shown

BLOCKS = 6
PATTERN = [True, True, False, True, True, False]
QUICK = {"searcher": "one-shot", "budget": 2, "finalists": 0}
TEXT = {"data": "demo", "samples": 2, "length": 16}


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


def contents(path):
    file, data = read_gguf(path), path.read_bytes()
    return {t.name: (t.shape, t.kind, data[t.offset : t.offset + t.size]) for t in file.tensors}


QUICK = {"searcher": "one-shot", "budget": 2, "finalists": 0}
TEXT = {"data": "demo", "samples": 2, "length": 16}


def logits(folder, **more):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **more)
    return run(model)


def without(folder, kept, **config):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    layers = model.model.layers
    model.model.layers = torch.nn.ModuleList([layers[i] for i in kept])
    model.config.update(config)
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


def test_gemma_3_keeps_its_pattern_of_sliding_attention(write, demo_tokenizer, tmp_path):
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.manual_seed(0)
    width = {"hidden_size": 32, "intermediate_size": 64, "head_dim": 16, "sliding_window": 3}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    config = Gemma3TextConfig(
        num_hidden_layers=12, vocab_size=len(demo_tokenizer), **width, **heads
    )
    Gemma3ForCausalLM(config).save_pretrained(tmp_path / "gemma")
    demo_tokenizer.save_pretrained(tmp_path / "gemma")
    sliding = [kind == "sliding_attention" for kind in config.layer_types]
    assert sliding == ([True] * 5 + [False]) * 2
    source, window = tmp_path / "gemma.gguf", {"gemma3__attention__sliding_window": 3}
    array = {"array": "sliding_window_pattern", "pattern": sliding}
    write(source, tmp_path / "gemma", arch="gemma3", **array, **window)

    kept = [0, 1, 2, 7, 8, 11]
    removed = [i for i in range(12) if i not in kept]
    to = prunekit.export(str(source), remove=removed, to=tmp_path / "pruned.gguf")
    fields = read_gguf(to).fields
    assert fields["gemma3.attention.sliding_window_pattern"].value == [True] * 5 + [False]
    assert fields["gemma3.block_count"].value == 6
    short = {"num_hidden_layers": 6, "layer_types": [config.layer_types[i] for i in kept]}
    expected = without(tmp_path / "gemma", kept, **short)
    assert logits(to.parent, gguf_file=to.name) == pytest.approx(expected, abs=1e-5)

    with pytest.raises(CheckpointError, match="repeat"):
        prunekit.export(str(source), remove=[1], to=tmp_path / "broken.gguf")
    with pytest.raises(ConfigError, match="repeat every 6 blocks .*add --keep-pattern"):
        prunekit.search(str(source), ppl=TEXT, save=tmp_path / "saved.gguf", **QUICK)


def test_numbers_that_say_where_kinds_repeat(folder, write, tmp_path):
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


def test_a_pruned_file_is_healed_into_a_folder(gguf, tmp_path):
    pruned = prunekit.export(str(gguf), remove=[1], to=tmp_path / "pruned.gguf")
    (tmp_path / gguf.name).symlink_to(gguf)
    text = {"data": "demo", "samples": 16, "length": 32}
    how = {"tokens": 512, "batch_tokens": 128, "ppl": text, "workdir": tmp_path}
    found = prunekit.heal(str(pruned), to=tmp_path / "healed", **how)
    assert found.saved == str(tmp_path / "healed")
    record = prunekit.show(found.saved).record
    assert (record["model"], record["removed"]) == (gguf.name, [1])
    assert record["heal"]["teacher"] == gguf.name


def test_a_file_has_no_card_for_a_certificate(gguf, tmp_path):
    pruned = prunekit.export(str(gguf), remove=[1], to=tmp_path / "pruned.gguf")
    (tmp_path / gguf.name).symlink_to(gguf)
    with pytest.raises(ConfigError, match="pruned.gguf has no model card; leave --card out"):
        prunekit.certify(str(pruned), card=True, workdir=tmp_path)


def test_a_file_with_a_damaged_record_is_one_line(gguf, tmp_path):
    pruned = prunekit.export(str(gguf), remove=[1], to=tmp_path / "pruned.gguf")
    data = pruned.read_bytes()
    for old, new in ((b'"removed": [1]', b'"removed": [9]'), (b'{"schema"', b'["schema"')):
        (tmp_path / "bad.gguf").write_bytes(data.replace(old, new))
        with pytest.raises(ConfigError, match="bad.gguf, prunekit.provenance.*export the model"):
            prunekit.show(tmp_path / "bad.gguf")
        with pytest.raises(ConfigError, match="bad.gguf, prunekit.provenance"):
            prunekit.search(
                str(tmp_path / "bad.gguf"), save=tmp_path / "c.gguf", workdir=tmp_path, **QUICK
            )


def test_a_record_that_is_no_text_is_no_missing_one(folder, write, tmp_path):
    odd = tmp_path / "odd.gguf"
    write(odd, folder, prunekit__provenance=3)
    with pytest.raises(ConfigError, match="odd.gguf, prunekit.provenance is not text; export the"):
        prunekit.show(odd)


def test_a_file_that_lost_more_blocks_afterwards_is_said_to_be_modified(gguf, tmp_path, capsys):
    pruned = prunekit.export(str(gguf), remove=[1], to=tmp_path / "pruned.gguf")
    print_shown(replace(prunekit.show(pruned), n_blocks=BLOCKS - 2))
    said = " ".join(capsys.readouterr().out.split())
    assert "it has 4 blocks, and its record says 5: it was modified after the export" in said


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
