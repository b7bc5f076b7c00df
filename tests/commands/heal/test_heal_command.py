"""`prunekit heal` at the command line."""

import json

import pytest

WORDS = ("heal", "--remove", "1,2", "--device", "cpu", "--tokens", "2048", "--rate", "1e-2")
TEXT = ("--batch-tokens", "128", "--ppl.data", "demo", "--ppl.samples", "4", "--ppl.length", "32")


@pytest.fixture
def words(tiny_model):
    return (*WORDS, *TEXT, "--model", tiny_model("llama3", n_blocks=4))


def test_it_says_what_was_gained_and_what_was_written(prunekit, words, tmp_path):
    status, out, err = prunekit(*words, "--to", "healed")
    assert (status, err) == (0, "")
    assert "without blocks 1,2, healed" in out
    assert "LoRA of rank 16 trained on 2,048 tokens of demo, taught by" in out
    for line in ("dense", "pruned", "healed", "gained -", "before: ", "saved healed", "read back"):
        assert f"\n{line}" in out or f"\n {line}" in out
    assert max(map(len, out.splitlines())) <= 80 or "load it" in out
    assert (tmp_path / "healed" / "model.safetensors").exists()


def test_as_json(prunekit, words):
    status, out, _ = prunekit(*words, "--to", "healed", "--json")
    assert status == 0
    assert json.loads(out)["healed"]["method"] == "lora"


def test_a_dry_run_counts_and_writes_no_model(prunekit, words, tmp_path):
    status, out, _ = prunekit(*words, "--dry-run")
    assert status == 0
    assert "LoRA of rank 16, 2,048 tokens in 16 steps" in out
    assert "4 more held out, measured 8 times" in out
    assert "of them shared; gradients and optimizer" in out
    status, out, _ = prunekit(*words, "--dry-run", "--full", "--keep-words", "8", "--json")
    costs = json.loads(out)
    assert costs["shared_bytes"] == 0
    assert costs["kept_bytes"] == 6 * 8 * costs["sequences"] * 32
    parts = ("weights_bytes", "training_bytes", "activation_bytes")
    assert costs["memory_bytes"] == sum(costs[part] for part in parts)
    assert not (tmp_path / "healed").exists()


def test_a_dry_run_knows_what_recomputing_spares(prunekit, words):
    costs = [
        json.loads(prunekit(*words, "--dry-run", "--json", *more)[1])
        for more in ((), ("--recompute",))
    ]
    assert costs[1]["activation_bytes"] < costs[0]["activation_bytes"]


def test_a_missed_bound_ends_with_3_and_prints_the_result(prunekit, words):
    status, out, err = prunekit(*words, "--to", "healed", "--max-ppl-ratio", "0.01")
    assert status == 3
    assert "saved healed" in out
    assert "gate missed: perplexity on held-out text is" in err


def test_without_a_folder_to_write(prunekit, words):
    status, _, err = prunekit(*words)
    assert status == 1
    assert "--to is missing" in err


def test_its_help_has_the_flags_of_objectives_alone(prunekit, monkeypatch):
    status, out, _ = prunekit("heal", "--help")
    assert status == 0
    assert "--ppl.data" in out
    assert "--genetic.population" not in out
