"""What cannot be healed is refused in one line, before anything is trained."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

import prunekit
from prunekit.core import CheckpointError, ConfigError
from prunekit.core.errors import Interrupted, Remark, StorageError
from prunekit.plugins.commands.heal.heal import heal
from prunekit.plugins.commands.heal.result import NotHealed


@pytest.fixture
def pruned(quick, tmp_path):
    """A checkpoint that prunekit wrote, and the arguments to heal it."""
    prunekit.export(quick["model"], remove=quick.pop("remove"), to=tmp_path / "pruned")
    return {**quick, "model": str(tmp_path / "pruned"), "teacher": quick["model"]}


def refused(words, match, to, error=ConfigError):
    with pytest.raises(error, match=match) as found:
        heal(**words, to=to)
    assert "\n" not in str(found.value)
    assert not to.exists()


def test_a_model_that_prunekit_did_not_write(quick, tmp_path):
    del quick["remove"]
    missing = "has no record of which blocks it lacks, such as a prunekit.json"
    refused(quick, missing, tmp_path / "to")


def test_another_dense_model(pruned, tiny_model, tmp_path):
    pruned["teacher"] = str(tiny_model("llama3", n_blocks=4, tie_word_embeddings=True))
    refused(pruned, "--teacher .*was made from .* with other weights; give that", tmp_path / "to")


def test_a_dense_model_that_is_not_found(pruned, tmp_path):
    del pruned["teacher"]
    refused(pruned, "dense model of .*was not found.*name it with --teacher", tmp_path / "to")


def test_a_teacher_of_what_has_one(quick, tmp_path):
    quick["teacher"] = quick["model"]
    refused(quick, "--teacher names the dense model of a checkpoint", tmp_path / "to")


def test_a_checkpoint_with_another_tokenizer(pruned, tmp_path):
    path = tmp_path / "pruned" / "tokenizer.json"
    content = json.loads(path.read_text())
    content["added_tokens"] = content["added_tokens"][:-1]
    path.write_text(json.dumps(content))
    refused(pruned, "have different tokenizers, so neither text nor losses", tmp_path / "to")


def test_a_checkpoint_that_was_changed_is_remarked_on(pruned, tmp_path):
    path = tmp_path / "pruned" / "config.json"
    path.write_text(path.read_text() + "\n")
    with pytest.warns(Remark, match="was changed since prunekit wrote it; it is healed as it is"):
        heal(**pruned, to=tmp_path / "to")


@pytest.mark.parametrize("text", ["A few words.", "Some more words than that. " * 20])
def test_too_little_text(quick, text, tmp_path):
    (tmp_path / "own.txt").write_text(text)
    quick["ppl"]["data"] = str(tmp_path / "own.txt")
    refused(quick, "sequences|tokens", tmp_path / "to")


def test_fewer_sequences_than_a_step_takes(quick, tmp_path):
    quick |= {"batch_tokens": 32 * 1000, "tokens": 32}
    refused(quick, "fewer than the 1000 of a step; give more text, or lower", tmp_path / "to")


def test_an_objective_whose_samples_are_no_text(quick, tmp_path):
    quick |= {"objective": "margin", "margin": {"data": "demo", "samples": 4}}
    del quick["ppl"]
    refused(
        quick, "items with several answers; expected one whose samples are text", tmp_path / "to"
    )


def test_more_last_blocks_than_there_are(quick, tmp_path):
    refused({**quick, "last": 3}, "--last 3: 2 blocks are left; give fewer", tmp_path / "to")


def test_a_gpu_that_is_not_the_first(quick, monkeypatch, tmp_path):
    monkeypatch.setattr("prunekit.plugins.commands.heal.plan.resolve_device", lambda name: name)
    quick["device"] = "cuda:1"
    refused(quick, "--device cuda:1: .*CUDA_VISIBLE_DEVICES=1 in the", tmp_path / "to")


def test_a_missing_package(quick, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused(quick, "needs the package peft, .*pip install 'prunekit.heal.'", tmp_path / "to")


def test_a_target_that_exists(quick, tmp_path):
    (tmp_path / "to").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        heal(**quick, to=tmp_path / "to")


def test_words_of_a_teacher_that_are_damaged(quick, tmp_path):
    quick["keep_words"] = 8
    heal(**quick, to=tmp_path / "to")
    for path in (quick["workdir"] / "teachers").rglob("*.safetensors"):
        path.write_bytes(b"half")
    shutil.rmtree(tmp_path / "to")
    quick["rank"] = 4
    refused(quick, "cannot be read back: .*writes it again", tmp_path / "to", StorageError)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("after", None, "heal.after cannot be None"),
        ("tokens", -1, "heal.tokens cannot be -1"),
        ("gain", {"value": 5.0, "standard_error": 0.1}, "the difference of .* cannot be 5.0"),
    ],
)
def test_a_damaged_record_is_named(quick, key, value, message, tmp_path):
    heal(**quick, to=tmp_path / "healed")
    path = tmp_path / "healed" / "prunekit.json"
    row = json.loads(path.read_text())
    row["heal"][key] = value
    path.write_text(json.dumps(row))
    with pytest.raises(ConfigError, match=message):
        heal(**{**quick, "model": str(tmp_path / "healed"), "remove": None}, to=tmp_path / "to")


def test_text_longer_than_the_context(quick, tiny_model, tmp_path):
    quick["model"] = str(tiny_model("llama3", n_blocks=4, max_position_embeddings=16))
    refused(quick, "has 32 tokens, the model's context holds 16; lower", tmp_path / "to")


@pytest.mark.parametrize("which", ["model.norm.weight", "lm_head.weight"])
def test_weights_that_are_not_finite(pruned, which, tmp_path):
    path = tmp_path / "pruned" / "model.safetensors"
    weights = load_file(path)
    weights[which][:] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.warns(Remark, match="was changed"):
        refused(pruned, "losses on held-out text are not finite", tmp_path / "to", CheckpointError)


def test_a_training_that_diverges(quick, tmp_path):
    quick |= {"rate": 1e30, "full": True}
    refused(quick, "diverged|gained nothing", tmp_path / "to", NotHealed)


def test_two_processes_at_the_same_work(quick, monkeypatch, tmp_path):
    def second(*given, **more):
        refused(quick, "another process is at the same work; wait for it", tmp_path / "other")
        raise KeyboardInterrupt

    monkeypatch.setattr("prunekit.plugins.commands.heal.heal.open_models", second)
    with pytest.raises(Interrupted):
        heal(**quick, to=tmp_path / "to")
    monkeypatch.undo()
    heal(**quick, to=tmp_path / "to")


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ({"rank": 4, "full": True}, "--full and --rank: different ways to train; give one"),
        ({"full": True, "last": 1}, "--full and --last: different ways to train; give one"),
        ({"keep_words": 8, "distill": 0}, "--keep-words: without a teacher there are none"),
        ({"rate": float("inf")}, "--rate inf: expected a finite number"),
        ({"rank": 1000}, "--rank 1,000: the model is 32 wide; give less"),
        ({"max_ppl_ratio": float("nan")}, "--max-ppl-ratio nan: expected a number above 0"),
        ({"max_ppl_ratio": 0}, "--max-ppl-ratio 0: expected a number above 0"),
        ({"seed": 2**32}, "--seed 4294967296: expected less than 4294967296"),
        ({"ppl": "x"}, "ppl: expected options such as .samples: 8., got 'x'"),
        ({"tokenz": 1}, "tokenz: no such option. Did you mean 'tokens'"),
        ({"objective": "mix", "ppl": {}}, "a mix has no text of its own|options of"),
    ],
)
def test_options_that_cannot_be(quick, words, match, tmp_path):
    if words.get("objective"):
        del quick["ppl"], words["ppl"]
    refused({**quick, **words}, match, tmp_path / "to")


def test_a_record_of_an_earlier_version(pruned, tmp_path):
    path = tmp_path / "pruned" / "prunekit.json"
    row = json.loads(path.read_text())
    del row["parameters"]
    path.write_text(json.dumps(row))
    refused(pruned, "by an earlier version .*; export it again", tmp_path / "to")


def test_a_pruned_model_in_the_work_folder_that_was_changed(quick, tmp_path):
    heal(**quick, to=tmp_path / "healed")
    (path,) = (quick["workdir"] / "heals").glob("pruned-*/model.safetensors")
    weights = load_file(path)
    weights["model.norm.weight"] += 1
    save_file(weights, path, metadata={"format": "pt"})
    refused(quick, "no longer what prunekit wrote there; remove it", tmp_path / "to")


def test_words_of_another_teacher(quick, tmp_path):
    quick["keep_words"] = 8
    heal(**quick, to=tmp_path / "one")
    for path in (quick["workdir"] / "teachers").rglob("*.safetensors"):
        save_file({n: t[:, :, None] for n, t in load_file(path).items()}, path)
    quick["rank"] = 4
    refused(quick, "cannot be read back: it holds .* words", tmp_path / "to", StorageError)
