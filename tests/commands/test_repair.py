"""A search under a repair: its losses, its choice, and the checkpoint that holds the patches."""

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

import prunekit
from prunekit.core.errors import CheckpointError, ConfigError
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.config import parse
from prunekit.engine.opening import open_session
from prunekit.engine.plan import resolve
from prunekit.hf import load_adapter
from prunekit.hf.patch_file import StoredPatches, as_bytes, read_patches
from prunekit.hf.refit import Losses, refit

REPAIRS = ("least-squares", "magnitude")


def session_of(quick, **words):
    given = {**{k: v for k, v in quick.items() if k != "workdir"}, "dtype": "float32", **words}
    registry = load()
    return open_session(resolve(parse(given, registry), registry), Path(quick["workdir"]))


@pytest.mark.parametrize("repair", REPAIRS)
def test_every_loss_of_a_search_is_that_of_a_repaired_model(repaired, quick, repair):
    result = repaired(repair)
    removed = frozenset(result.removed)
    with session_of(quick, repair=repair, repair_tokens=2000) as session:
        (loss,) = session.losses([removed])
        assert result.pruned.loss == loss
        assert session.measured == 0  # all of it is in the journal
    with session_of(quick) as session:
        assert session.losses([removed]) != [loss]


@pytest.mark.parametrize("repair", REPAIRS)
def test_the_checkpoint_has_the_losses_that_the_result_says(repaired, quick, tmp_path, repair):
    result = repaired(repair, save=tmp_path / "pruned")
    assert result.repair.refitted <= min(result.repair.bare, result.repair.searched)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "pruned", dtype="float32")
    with session_of(quick, repair=repair, repair_tokens=2000) as session:
        checked = session.adapter.patch_of.checked
    total = tokens = 0.0
    for batch in checked:
        with torch.no_grad():
            logits = model(batch.input_ids, attention_mask=batch.attention_mask).logits
        where = batch.targets >= 0
        logprobs = logits.log_softmax(-1)[where].gather(-1, batch.targets[where][:, None])
        total, tokens = total - float(logprobs.sum()), tokens + int(where.sum())
    assert tokens == result.repair.checked
    if model.dtype is torch.float32:
        stored = json.loads((tmp_path / "pruned" / "config.json").read_text())["dtype"]
        rounding = 1e-5 if stored == "float32" else 5e-3
        assert total / tokens == pytest.approx(result.repair.refitted, abs=rounding)


def test_a_float32_checkpoint_agrees_to_rounding(repaired, quick, tmp_path, tiny_model):
    folder = tiny_model("llama3")
    for repair in REPAIRS:
        run = repaired(repair, model=str(folder), ppl={"data": "demo", "samples": 8, "length": 24})
        to = prunekit.export(run=run.run, workdir=quick["workdir"], to=tmp_path / repair)
        removed = frozenset(run.removed)
        path = Path(run.run) / "repair.safetensors"
        stored = StoredPatches.at(path, run.repair.digest)
        adapter = load_adapter(Spec(str(folder), dtype="float32", repairing=stored))
        model = AutoModelForCausalLM.from_pretrained(to)
        ids = torch.arange(40)[None] % 60 + 3
        with torch.no_grad():
            batch = load_batch(ids)
            expected = adapter.reference(batch, removed)
            assert torch.allclose(model(ids).logits, expected, atol=1e-5)


def load_batch(ids):
    from prunekit.core.batch import Batch

    return Batch(ids, torch.ones_like(ids), ids, torch.zeros(1, dtype=torch.long), 1)


def test_the_patches_of_a_run_are_used_wherever_it_is(repaired, quick, tmp_path):
    """On a trained model: of a random one, no patch is the best repair."""
    demo = {"model": "demo:qwen3", "ppl": {"data": "demo", "samples": 8, "length": 48}}
    result = repaired("least-squares", **demo)
    assert result.repair.cuts
    options = {"workdir": quick["workdir"], "ppl": "demo", "ppl_samples": 4, "dtype": "float32"}
    run = prunekit.evaluate(run=result.run, **options)
    to = prunekit.export(run=result.run, workdir=quick["workdir"], to=tmp_path / "pruned")
    bare = prunekit.evaluate("demo:qwen3", remove=result.removed, **options)
    (repaired_row,), (bare_row,) = (x.perplexities.values() for x in (run, bare))
    assert (run.afterwards, bare.afterwards) == ("repaired by least-squares", "")
    assert repaired_row.dense == bare_row.dense
    assert repaired_row.pruned != bare_row.pruned
    card = (to / "README.md").read_text()
    assert "were repaired by least-squares at" in card
    record = json.loads((to / "prunekit.json").read_text())
    assert record["search"]["repair"]["name"] == "least-squares"
    assert record["config"]["repair"] == "least-squares"


def test_only_the_repaired_weights_differ_from_the_source(repaired, quick, tmp_path, tiny_model):
    from safetensors.torch import load_file

    folder = tiny_model("qwen3")
    words = {"model": str(folder), "ppl": {"data": "demo", "samples": 8, "length": 24}}
    result = repaired("least-squares", **words)
    to = prunekit.export(run=result.run, workdir=quick["workdir"], to=tmp_path / "repaired")
    bare = prunekit.export(str(folder), remove=result.removed, to=tmp_path / "bare")
    one, other = (load_file(path / "model.safetensors") for path in (to, bare))
    assert one.keys() == other.keys()
    changed = {name for name in one if not torch.equal(one[name], other[name])}
    assert len(changed) == len(result.repair.cuts)
    assert all(name.endswith("mlp.down_proj.weight") for name in changed)


def test_a_repair_is_part_of_a_searchs_name_and_no_repair_is_not(repaired, quick):
    words = {**quick, "searcher": "one-shot", "dtype": "float32", "finalists": 0}
    plain, none = prunekit.search(**words), prunekit.search(**words, repair="none")
    assert plain.repair is None
    assert none.run == plain.run
    others = {Path(repaired(repair, finalists=0).run).name for repair in REPAIRS}
    assert len(others | {Path(plain.run).name}) == 3


def test_tokens_for_no_repair_are_refused(quick):
    with pytest.raises(ConfigError, match="no repair is chosen; add one"):
        prunekit.search(**quick, repair_tokens=100)


def test_a_choice_is_fitted_the_same_again(repaired):
    one = repaired("least-squares")
    before = (Path(one.run) / "repair.safetensors").read_bytes()
    assert repaired("least-squares").repair == one.repair
    assert (Path(one.run) / "repair.safetensors").read_bytes() == before


def test_patches_in_a_file_are_those_of_the_refit(repaired, quick):
    result = repaired("least-squares")
    with session_of(quick, repair="least-squares", repair_tokens=2000) as session:
        patches = session.adapter.patch_of
        found = refit(patches, frozenset(result.removed))
        stored = read_patches(Path(result.run) / "repair.safetensors")
        assert as_bytes(stored) == as_bytes(found.patches)
        loss = Losses(patches, frozenset(result.removed)).of(stored)
        assert math.isclose(loss, result.repair.refitted)


def test_a_smaller_budget_of_a_repaired_run_is_refused(repaired, quick, tmp_path):
    result = repaired("magnitude", searcher="greedy")
    with pytest.raises(ConfigError, match="is repaired for its own blocks only; search again"):
        prunekit.export(run=result.run, budget=1, workdir=quick["workdir"], to=tmp_path / "x")


@pytest.mark.parametrize("form", ["mergekit", "llama.cpp"])
def test_a_recipe_cannot_hold_a_repair(repaired, quick, tmp_path, form):
    result = repaired("magnitude")
    with pytest.raises(ConfigError, match="copies weights as they are, and this run repaired"):
        prunekit.export(
            run=result.run, workdir=quick["workdir"], to=tmp_path / "recipe", format=form
        )
    assert not (tmp_path / "recipe").exists()


def test_too_little_other_text_is_said(repaired):
    with pytest.raises(
        ConfigError,
        match="24 tokens to be fitted on and 24 to be checked on, but .* 32 needs 32 to fit; raise",
    ):
        repaired("least-squares", repair_tokens=30)
    with pytest.raises(
        ConfigError, match="has 0 tokens to be fitted on and 24 to be checked on, but .*; raise"
    ):
        repaired("magnitude", repair_tokens=1)
    every = {"data": "demo", "samples": 128, "length": 24}
    with pytest.raises(ConfigError, match="holds no samples out beside its calibration set"):
        repaired("magnitude", ppl=every)


@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_a_model_that_cannot_hold_a_repair_is_refused(repaired, tiny_model, family):
    words = {"data": "demo", "samples": 4, "length": 24}
    with pytest.raises(CheckpointError, match="cannot be repaired: .*; search without --repair"):
        repaired("magnitude", model=str(tiny_model(family)), ppl=words)


def test_an_unknown_repair_is_refused_with_the_nearest_name(repaired):
    with pytest.raises(ConfigError, match="no repair is called 'least-square'.*least-squares"):
        repaired("least-square")


def test_patches_are_fitted_apart_from_all_parts_of_a_mix(quick):
    """The finalists of a mix are measured on more held-out samples than its first part asks for."""
    from prunekit.engine.finalists import held_out_plan
    from prunekit.engine.held_out import times_held_out

    given = {**quick, "objective": "mix", "mix": {"parts": "ppl:1,margin:1"}, "repair": "magnitude"}
    given |= {"ppl": {"data": "demo", "samples": 12, "length": 24}, "repair_tokens": 400}
    given |= {"margin": {"data": "demo", "samples": 4}}
    registry = load()
    plan = resolve(parse({k: v for k, v in given.items() if k != "workdir"}, registry), registry)
    with open_session(plan, Path(quick["workdir"])) as session:
        patches = session.adapter.patch_of
        fitted = {
            tuple(row.tolist())
            for batch in (*patches.fitted, *patches.checked)
            for row in batch.input_ids
        }
        tokenizer = plan.checkpoint.tokenizer()
        held = held_out_plan(plan, times_held_out(session.n_samples))
        seen = [part for part, _ in (*plan.parts, *held.parts)]
        measured = {
            tuple(row.tolist())
            for objective in seen
            for sample in objective.calibration_set(tokenizer)
            for row in sample["input_ids"]
        }
    assert len(fitted) >= 16
    assert not fitted & measured


def test_fewer_tokens_at_once_fit_the_repair_too(quick):
    """As when a device runs out of memory."""
    from prunekit.core.errors import Remark
    from prunekit.plugins.commands.search.smaller_batches import with_smaller_batches

    given = {k: v for k, v in quick.items() if k != "workdir"}
    registry = load()
    words = {**given, "repair": "magnitude", "repair_tokens": 800, "tokens_per_forward": 200}
    plan = resolve(parse(words, registry), registry)
    with pytest.warns(Remark, match="going on with --tokens-per-forward 100"):
        smaller = with_smaller_batches(plan)
    with open_session(smaller, Path(quick["workdir"])) as session:
        batches = session.adapter.patch_of.fitted
        assert max(batch.input_ids.numel() for batch in batches) <= 100


def test_a_dry_run_times_the_bare_model_and_says_what_a_repair_adds(quick):
    from prunekit.engine.estimate import estimate

    given = {k: v for k, v in quick.items() if k != "workdir"}
    registry = load()
    words = {**given, "repair": "magnitude", "repair_tokens": 800, "dtype": "float32"}
    found = estimate(resolve(parse(words, registry), registry)).repair
    blocks, width = 8, 32
    assert (found.name, found.tokens) == ("magnitude", 800)
    assert found.bytes == (2 * blocks + 1) * 800 * width * 4
    assert found.seconds is not None


def test_a_dry_run_refuses_what_a_search_would(quick):
    from prunekit.engine.estimate import estimate

    given = {k: v for k, v in quick.items() if k != "workdir"} | {"repair": "least-squares"}
    registry = load()
    plan = resolve(parse({**given, "repair_tokens": 30}, registry), registry)
    with pytest.raises(ConfigError, match="but a model of width 32 needs 32 to fit"):
        estimate(plan)
