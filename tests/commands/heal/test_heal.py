"""Healing: a pruned model is trained, and what is written is what was trained."""

import gc
import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import prunekit
from prunekit.core import CheckpointError
from prunekit.core.registry import load
from prunekit.hf.proof import probe
from prunekit.plugins.commands.heal.heal import heal
from prunekit.plugins.commands.heal.result import NotHealed, TooMuchLost
from prunekit.plugins.commands.heal.trainable import share_weights

METHODS = [{}, {"last": 1}, {"full": True}]


@torch.no_grad()
def logits_of(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model(input_ids=probe(24).input_ids).logits


def weights_of(folder):
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("method", METHODS, ids=["lora", "last", "full"])
def test_a_healed_model_is_better_on_text_that_it_was_not_trained_on(quick, method, tmp_path):
    result = heal(**quick, **method, to=tmp_path / "healed")
    healed = result.healed
    assert healed.after < healed.before
    assert healed.gain.value == pytest.approx(healed.after - healed.before)
    assert result.verdict.ratio < result.verdict_before.ratio
    assert healed.method == (next(iter(method)) if method else "lora")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "healed").config.num_hidden_layers == 2


def test_its_losses_are_those_of_plain_transformers(quick, tmp_path):
    folder = tmp_path / "healed"
    healed = heal(**quick, to=folder).healed
    objective = (
        load().get("objective", "ppl").cls(data="demo", samples=4, length=32, packing="stream")
    )
    samples = objective.calibration_set(AutoTokenizer.from_pretrained(folder))
    pruned = prunekit.export(quick["model"], remove=quick["remove"], to=tmp_path / "pruned")
    for place, loss in ((folder, healed.after), (pruned, healed.before)):
        model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32).eval()
        with torch.no_grad():
            losses = [float(model(s["input_ids"], labels=s["input_ids"]).loss) for s in samples]
        assert loss == pytest.approx(sum(losses) / len(losses), abs=1e-5)


@pytest.mark.parametrize("method", METHODS, ids=["lora", "last", "full"])
def test_only_what_is_trained_changes(quick, method, tmp_path):
    heal(**quick, **method, to=tmp_path / "healed")
    pruned = prunekit.export(quick["model"], remove=quick["remove"], to=tmp_path / "pruned")
    before, after = weights_of(pruned), weights_of(tmp_path / "healed")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    wanted = {
        "lora": lambda name: "proj" in name,
        "last": lambda name: "layers.1." in name or "lm_head" in name,
        "full": lambda name: True,
    }["lora" if not method else next(iter(method))]
    assert changed == {name for name in before if wanted(name)}


def test_a_tied_head_stays_tied(tiny_model, quick, tmp_path):
    quick |= {"model": str(tiny_model("llama3", n_blocks=4, tie_word_embeddings=True))}
    heal(**quick, last=1, to=tmp_path / "healed")
    weights = weights_of(tmp_path / "healed")
    assert "lm_head.weight" not in weights
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "healed")
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_weights_keep_their_dtype_and_what_is_derived_from_them_its_own(
    tiny_model, quick, tmp_path
):
    half = tmp_path / "half"
    model = AutoModelForCausalLM.from_pretrained(quick["model"], dtype=torch.bfloat16)
    model.save_pretrained(half)
    AutoTokenizer.from_pretrained(quick["model"]).save_pretrained(half)
    heal(**{**quick, "model": str(half)}, to=tmp_path / "healed")
    assert {w.dtype for w in weights_of(tmp_path / "healed").values()} == {torch.bfloat16}
    proof = json.loads((tmp_path / "healed" / "prunekit.json").read_text())["proof"]
    assert proof["difference"] == 0


def test_a_teacher_whose_words_are_kept_teaches_nearly_the_same(quick, tmp_path):
    running = heal(**quick, to=tmp_path / "running").healed
    vocabulary = AutoModelForCausalLM.from_pretrained(quick["model"]).config.vocab_size
    kept = heal(**quick, keep_words=vocabulary, to=tmp_path / "kept").healed
    assert kept.after == pytest.approx(running.after, abs=1e-3)
    files = sorted((quick["workdir"] / "teachers").rglob("*.safetensors"))
    times = [file.stat().st_mtime_ns for file in files]
    assert files
    heal(**quick, keep_words=vocabulary, rank=4, to=tmp_path / "again")
    assert [file.stat().st_mtime_ns for file in files] == times  # they serve all trainings


@pytest.mark.parametrize("device_map", ["disk", "auto"])
def test_a_teacher_on_disk_teaches_the_same(quick, device_map, tmp_path):
    healed = heal(**quick, device_map=device_map, to=tmp_path / device_map).healed
    assert healed.after == pytest.approx(heal(**quick, to=tmp_path / "x").healed.after, abs=1e-5)
    gc.collect()
    assert not list(quick["workdir"].glob("offload-*"))


def test_without_a_teacher_it_is_plain_fine_tuning(quick, tmp_path):
    healed = heal(**quick, distill=0, to=tmp_path / "healed").healed
    assert healed.teacher == ""
    assert healed.after < healed.before


def test_the_same_seed_gives_the_same_weights_and_another_others(quick, tmp_path):
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        workdir = tmp_path / f"work-{name}"
        heal(**{**quick, "workdir": workdir}, seed=seed, to=tmp_path / name)
    one, same, other = (weights_of(tmp_path / name) for name in ("one", "same", "other"))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("extra", [{"recompute": True}, {"tokens_per_forward": 32}])
def test_less_memory_gives_the_same_up_to_rounding(quick, extra, tmp_path):
    plain = heal(**quick, to=tmp_path / "plain").healed
    spared = heal(**quick, **extra, to=tmp_path / "spared").healed
    assert spared.after == pytest.approx(plain.after, abs=1e-3)


def test_a_student_holds_the_weights_of_its_teacher_where_they_are_equal(quick, tmp_path):
    pruned = prunekit.export(quick["model"], remove=quick["remove"], to=tmp_path / "pruned")
    dense = AutoModelForCausalLM.from_pretrained(quick["model"]).requires_grad_(False)
    student = AutoModelForCausalLM.from_pretrained(pruned).requires_grad_(False)
    student.model.norm.weight.add_(1)  # as if it were repaired
    student.model.layers[0].mlp.up_proj.weight.requires_grad_()  # as if it were trained
    before = student(input_ids=probe(24).input_ids).logits
    spared = share_weights(student, dense, frozenset(quick["remove"]))
    own = {name for name, w in student.named_parameters() if w.data_ptr() not in pointers(dense)}
    assert own == {"model.norm.weight", "model.layers.0.mlp.up_proj.weight"}
    assert spared == sum(w.nbytes for n, w in student.named_parameters() if n not in own)
    assert torch.equal(before, student(input_ids=probe(24).input_ids).logits)


def pointers(model):
    return {weight.data_ptr() for weight in model.parameters()}


def test_a_training_that_gains_nothing_writes_nothing(quick, tmp_path):
    with pytest.raises(NotHealed, match="gained nothing on held-out text"):
        heal(**{**quick, "rate": 0}, to=tmp_path / "healed")
    assert not (tmp_path / "healed").exists()


def test_a_missed_bound_ends_with_3_and_keeps_the_model(quick, tmp_path):
    with pytest.raises(TooMuchLost, match="gate missed") as missed:
        heal(**quick, max_ppl_ratio=1e-3, to=tmp_path / "healed")
    assert missed.value.exit_status == 3
    assert missed.value.result.saved == str(tmp_path / "healed")
    assert (tmp_path / "healed" / "model.safetensors").exists()


def test_early_stop_takes_the_best_weights(overfitting, tmp_path):
    checks = []

    def note(step):
        if "held out" in step.note and (step.done, step.note) not in checks:
            checks.append((step.done, step.note))

    healed = heal(**overfitting, progress=note, to=tmp_path / "healed").healed
    assert healed.step == 2
    assert checks[-1][0] == 6 * 128  # two checks later, of a training of 64 steps


@pytest.mark.parametrize("family", ["gpt2", "mixtral", "gemma3_text"])
def test_other_families_are_healed_too(family, family_model, quick, tmp_path):
    folder, removed = family_model(family)
    quick |= {"model": str(folder), "remove": removed[:1]}
    try:
        healed = heal(**quick, to=tmp_path / "healed").healed
    except (NotHealed, CheckpointError) as error:
        pytest.fail(str(error))
    assert healed.after < healed.before


@pytest.mark.gpu
@pytest.mark.parametrize("more", [{}, {"keep_words": 8}, {"full": True}, {"device_map": "auto"}])
def test_a_gpu_heals_too(quick, more, tmp_path):
    healed = heal(**{**quick, "device": "cuda"}, **more, to=tmp_path / "healed").healed
    assert healed.after < healed.before


def test_one_step_can_gain(quick, tmp_path):
    healed = heal(
        **{**quick, "tokens": 128, "rate": 1e-3}, full=True, to=tmp_path / "healed"
    ).healed
    assert (healed.step, healed.after < healed.before) == (1, True)


def test_only_what_is_seen_counts(quick, tmp_path):
    healed = heal(**{**quick, "tokens": 256, "rate": 1e-3}, to=tmp_path / "healed").healed
    assert healed.distinct == healed.planned == 256
