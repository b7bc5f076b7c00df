"""`prunekit study` as a user types it."""

import json
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def file(tmp_path, tiny_model):
    """A small study's file."""
    path = tmp_path / "small.yaml"
    path.write_text(
        f"models: {{tiny: {{model: {tiny_model()}}}}}\n"
        "objectives: {ppl: {data: demo, samples: 2, length: 24}}\n"
        "searchers: [one-shot, greedy]\n"
        "budgets: [2, 3]\n"
    )
    return path


def test_a_study_says_what_it_did_and_what_comes_next(prunekit, file, tmp_path):
    status, out, _ = prunekit("study", file)
    assert status == 0
    assert "4 of 4 searches are done; they asked for 52 subsets" in out
    (command,) = re.findall(r"prunekit report (\S+)", out)
    assert command == "prunekit-runs/studies/small"
    assert len(list((tmp_path / command / "cells").iterdir())) == 4
    assert "measured 0 subsets now" in prunekit("study", file)[1]


def test_failed_searches_take_one_line_a_cause_and_the_exit_status(prunekit, file):
    file.write_text(file.read_text().replace("length: 24", "length: 9999"))
    status, out, err = prunekit("study", file)
    assert status == 1
    assert "0 of 4 searches are done" in out
    assert err.startswith("failed: tiny_ppl_one-shot_k2_s0_d0 and 3 more: data 'demo' has 0 docum")
    assert len(err.splitlines()) == 1


def test_the_outcome_as_json(prunekit, file):
    status, out, _ = prunekit("study", file, "--json", "--only", "budget=2")
    outcome = json.loads(out)
    assert status == 0
    assert [r["cell"]["searcher"] for r in outcome["results"]] == ["one-shot", "greedy"]


def test_a_mistake_in_the_file_is_one_line_before_anything_is_loaded(prunekit, file):
    file.write_text(file.read_text().replace("greedy", "gredy"))
    status, out, err = prunekit("study", file)
    assert (status, out) == (1, "")
    assert err == f"error: {file}:3: no searcher is called 'gredy'. Did you mean 'greedy'?\n"
    assert "matches no cell" in prunekit("study", EXAMPLES / "demo.yaml", "--only", "k9")[2]


def test_settings_of_the_command_line_win(prunekit, file):
    assert "this machine has" in prunekit("study", file, "--device", "cuda:9")[2]
    assert "expected int" in prunekit("study", file, "--tokens-per-forward", "few")[2]
    assert prunekit("study", file, "--tokens-per-forward", 24)[0] == 0


def test_the_paper_is_counted_from_configs_alone(prunekit):
    status, out, err = prunekit("study", EXAMPLES / "paper.yaml", "--dry-run", "--only", "budget=7")
    assert (status, err) == (0, "")
    assert max(map(len, out.split("\n\n")[0].splitlines())) <= 80
    assert "paper: 42 searches in 6 groups\nmodel     LLaMA3-8B, LLaMA3.1-8B, Qwen3-8B\n" in out
    assert "\nbudget    7\n" in out
    assert out.count("not known: the time, since the weights would have to be fetched") == 3
    assert out.count("(weights 16.1 GB, states") == 2  # 8.03 billion parameters in bfloat16
    assert "(weights 16.4 GB, states" in out  # 8.19 billion


def test_the_counts_of_the_paper_are_those_of_its_algorithms(prunekit):
    status, out, _ = prunekit(
        "study", EXAMPLES / "paper.yaml", "--dry-run", "--json",
        "--only", "model=LLaMA3-8B,objective=ppl,budget=7,searcher=greedy",
    )  # fmt: skip
    estimate = json.loads(out)
    assert estimate["cells"] == ["LLaMA3-8B_ppl_greedy_k7_s0_d0"]
    (model,) = estimate["models"]
    assert status == 0
    assert model["cost"]["asked"] == 203
    assert model["cost"]["block_runs_unshared"] == 5712
    assert model["cost"]["measured"] == 1 + 203
    assert model["n_blocks"] == 32


def test_a_dry_run_times_what_is_at_hand_and_writes_nothing(prunekit, file, tmp_path):
    status, out, _ = prunekit("study", file, "--dry-run")
    assert status == 0
    assert re.search(r"tiny: about .* of memory .*, about \d+ s here", out)
    assert not (tmp_path / "prunekit-runs").exists()


def test_the_dry_run_of_the_demo(prunekit):
    status, out, _ = prunekit(
        "study", EXAMPLES / "demo.yaml", "--dry-run", "--only", "model=demo:llama3"
    )
    assert status == 0
    assert "demo: 88 searches in 4 groups" in out


def test_a_model_that_nobody_can_see_takes_a_line_of_the_dry_run(prunekit, file):
    file.write_text(file.read_text().replace("models: {", "models: {nobody/nothing: , "))
    status, out, _ = prunekit("study", file, "--dry-run")
    assert status == 0
    (line,) = [line for line in out.splitlines() if line.startswith("nobody/nothing: ")]
    assert "not known: nobody/nothing: not in the local cache" in line
