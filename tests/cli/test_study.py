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
    only = "budget=7,searcher=cbo*"
    status, out, err = prunekit("study", EXAMPLES / "paper.yaml", "--dry-run", "--only", only)
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "paper: 72 searches in 18 groups\nmodel     LLaMA3-8B, LLaMA3.1-8B, Qwen3-8B\n" in out
    assert "\nbudget    7\n" in out
    words = " ".join(out.split())
    assert (
        "not known of LLaMA3-8B, LLaMA3.1-8B, Qwen3-8B: the time, since the weights would have to "
        "be fetched" in words
    )
    assert len(re.findall(r"LLaMA3(?:.1)?-8B +16.1 GB ", out)) == 2  # 8.03 billion in bfloat16
    assert re.search(r"Qwen3-8B +16.4 GB ", out)  # 8.19 billion


def test_the_counts_of_the_paper_are_those_of_its_algorithms(prunekit):
    status, out, _ = prunekit(
        "study", EXAMPLES / "paper.yaml", "--dry-run", "--json",
        "--only", "model=LLaMA3-8B,objective=ppl,budget=7,searcher=greedy,draw=0",
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
    assert re.search(r"tiny( +[\d.]+ [kM]B){3} +\d+ s", out)
    assert max(map(len, out.splitlines())) <= 80
    assert "processes at once: 1 (--jobs)" in out
    assert not (tmp_path / "prunekit-runs").exists()


def test_the_dry_run_of_the_demo(prunekit):
    status, out, _ = prunekit(
        "study", EXAMPLES / "demo.yaml", "--dry-run", "--only", "model=demo:llama3"
    )
    assert status == 0
    assert "demo: 88 searches in 4 groups" in out


def test_the_dry_run_of_the_calibrations(prunekit):
    status, out, _ = prunekit("study", EXAMPLES / "calibration.yaml", "--dry-run", "--json")
    estimate = json.loads(out)
    assert status == 0
    assert len(estimate["cells"]) == 2 * 3 * 3 * 3
    assert estimate["cells"][0] == "demo-qwen3_ppl-small_one-shot_k3_s0_d0"
    assert estimate["models"][0]["failures"] == []


def says_what_the_study_would(prunekit, file):
    """The failures, which a dry run foretells word by word."""
    status, _, foretold = prunekit("study", file, "--dry-run", "--jobs", 1)
    assert status == 1
    status, _, err = prunekit("study", file, "--jobs", 1)
    assert status == 1
    assert foretold == err.replace("failed: ", "would fail: ")
    return err.splitlines()


def test_a_dry_run_foretells_a_model_that_cannot_be_had(prunekit, file):
    file.write_text(file.read_text().replace("models: {", "models: {nobody/nothing: , "))
    (line,) = says_what_the_study_would(prunekit, file)
    assert line.startswith("failed: nobody-nothing_ppl_one-shot_k2_s0_d0 and 3 more: nobody/nothin")


def test_a_dry_run_foretells_searchers_that_refuse(prunekit, file):
    refuses = "{exhaustive: {most: 5}, one-shot: }"
    file.write_text(file.read_text().replace("[one-shot, greedy]", refuses))
    lines = says_what_the_study_would(prunekit, file)
    assert len(lines) == 2
    assert lines[0].startswith("failed: tiny_ppl_exhaustive_k2_s0_d0: ")


def test_a_dry_run_foretells_signals_that_cannot_be_had(prunekit, file):
    fisher = "{fisher: {searcher: cbo, hessian: fisher}, one-shot: }"
    mix = "{both: {objective: mix, parts: 'ppl:1,kl:1', ppl: {data: demo, samples: 2, length: 24}, "
    text = file.read_text().replace("[one-shot, greedy]", fisher)
    mix += "kl: {data: demo, samples: 2, length: 24}}}"
    file.write_text(re.sub("objectives: .*", f"objectives: {mix}", text))
    (line,) = says_what_the_study_would(prunekit, file)
    assert line.startswith("failed: tiny_both_fisher_k2_s0_d0 and 1 more: a mix of objectives ha")


def test_a_dry_run_says_where_it_was_cut_off(prunekit, file, monkeypatch):
    monkeypatch.setattr("prunekit.engine.dry_run.MOST_SUBSETS", 3)
    out = prunekit("study", file, "--dry-run")[1]
    assert re.search(r"tiny +\d+ +>\d+ +>\d+ +>\d+ +>\d+ +>\d+", out)


def test_a_dry_run_foretells_data_that_do_not_suffice(prunekit, file):
    few = "{ppl: {data: demo, samples: 2, length: 24}, margin: {data: demo, samples: 999}}"
    file.write_text(re.sub("objectives: .*", f"objectives: {few}", file.read_text()))
    (line,) = says_what_the_study_would(prunekit, file)
    assert "data 'demo' has 256 usable items, but 999 were requested" in line


@pytest.mark.parametrize(
    ("wrong", "message"),
    [("tasks: [nope]", "nope is not a task"), ("ppl: [demo, g.txt]", "no such protocol")],
)
def test_a_dry_run_refuses_an_evaluation_of_what_is_not_there(prunekit, file, wrong, message):
    file.write_text(file.read_text() + f"evaluate: {{{wrong}}}\n")
    status, out, err = prunekit("study", file, "--dry-run")
    assert (status, out) == (1, "")
    assert err.startswith(f"error: {file}:5: ")
    assert message in err
    assert len(err.splitlines()) == 1


def test_several_processes_are_said_before_anything_else(prunekit, file, monkeypatch):
    from prunekit.plugins.commands.study import run

    taken, run_study = [], run.run_study

    def here(study, jobs, watch):
        taken.append(jobs)
        return run_study(study, 1, watch)

    monkeypatch.setattr(run, "sensible_jobs", len)
    monkeypatch.setattr(run, "run_study", here)
    file.write_text(file.read_text() + "draws: [0, 1]\n")
    assert "processes at once: 2 (--jobs)" in prunekit("study", file, "--dry-run")[1]
    assert prunekit("study", file, "--jobs", 1, "--workdir", "one")[2] == ""
    assert prunekit("study", file, "--quiet", "--workdir", "quiet")[2] == ""
    said = "up to 2 processes at once; --jobs says how many\n"
    assert prunekit("study", file, "--jobs", 8, "--workdir", "eight")[2] == said
    assert prunekit("study", file)[2] == said
    assert prunekit("study", file)[2] == "", "there is nothing left to do"
    assert taken == [1, 2, 2, 2, 1]


def test_finalists_come_on_top_of_a_dry_run(prunekit, file):
    before = prunekit("study", file, "--dry-run", "--json")[1]
    assert "finalists" not in prunekit("study", file, "--dry-run")[1]
    file.write_text(file.read_text() + "finalists: 3\n")
    out = prunekit("study", file, "--dry-run")[1]
    assert "finalists come on top: the 3 best subsets of each search" in " ".join(out.split())
    (old,), (new,) = (
        json.loads(text)["models"]
        for text in (before, prunekit("study", file, "--dry-run", "--json")[1])
    )
    assert new["cost"] == old["cost"]
