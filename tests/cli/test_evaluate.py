"""`prunekit evaluate` as a user types it."""

import json

import pytest

QUICK = ["--ppl", "demo", "--ppl-samples", "3", "--tasks", "demo", "--limit", "4"]


@pytest.fixture
def evaluate(prunekit, tiny_model):
    def run(*words):
        return prunekit("evaluate", "--model", tiny_model(), "--remove", "2,5", *QUICK, *words)

    return run


def test_both_models_stand_side_by_side_with_the_error_of_the_difference(evaluate):
    status, out, err = evaluate()
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].endswith("without blocks 2,5")
    assert [word in lines[2] for word in ("dense", "pruned", "difference")] == [True] * 3
    assert lines[4].startswith(" demo perplexity")
    assert "±" in lines[4]
    assert lines[5].startswith(" demo acc_norm")
    assert lines[7].startswith("demo perplexity ")
    assert "times the dense model's (" in lines[7]
    assert max(map(len, lines[1:])) <= 80


def test_json_is_for_scripts(evaluate):
    status, out, _ = evaluate("--json", "-q")
    row = json.loads(out)
    assert (status, row["removed"], row["schema"]) == (0, [2, 5], 1)
    assert row["perplexities"]["demo"]["record"]["windows"] == 3
    assert row["tasks"]["demo"]["record"]["limit"] == 4
    perplexity = row["perplexities"]["demo"]
    ratio = perplexity["pruned"] / perplexity["dense"]
    assert perplexity["verdict"]["ratio"] == pytest.approx(ratio)
    assert perplexity["log_ratio"]["samples"] == 3


def test_a_missed_gate_is_status_3_and_one_line_after_the_results(evaluate):
    status, out, err = evaluate("--max-ppl-ratio", "0.01", "--min-accuracy", "demo=1")
    assert status == 3
    assert "demo acc_norm" in out
    assert err.startswith("gate missed: perplexity on demo is")
    assert len(err.strip().splitlines()) == 1
    assert evaluate("--max-ppl-ratio", "1e9", "--min-accuracy", "0", "-q")[::2] == (0, "")


def test_a_long_name_is_folded_and_never_cut(prunekit, tiny_model, tmp_path):
    name = "a-text-with-a-name-that-is-a-good-deal-longer-than-the-column-that-it-stands-in.txt"
    (tmp_path / name).write_text("Once upon a time there was a king. " * 50)
    words = ["--remove", "2", "--ppl", name, "--ppl-length", "40"]
    _, out, _ = prunekit("evaluate", "--model", tiny_model(), *words)
    assert "…" not in out
    assert max(map(len, out.splitlines()[1:])) <= 80
    assert "".join(line[:40].strip() for line in out.splitlines()).count(".txt") == 1


def test_an_evaluation_is_shown_with_its_run(prunekit, tiny_model):
    search = ["--searcher", "one-shot", "-k", "2", "--ppl.data", "demo"]
    search += ["--ppl.samples", "2", "--ppl.length", "24"]
    _, out, _ = prunekit("search", "--model", tiny_model(), "--json", *search)
    run = json.loads(out)["run"]
    assert prunekit("evaluate", "--run", run, *QUICK)[0] == 0
    _, out, _ = prunekit("show", run)
    assert "demo perplexity" in out
    assert "demo acc_norm" in out
    assert " ".join(out.split()).count("times the dense model's (") == 2


def test_without_a_model_the_demo_is_taken_and_said(prunekit):
    words = ["--remove", "2", "--ppl", "demo", "--ppl-samples", "1"]
    assert "taking demo" in prunekit("evaluate", *words)[2]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--remove", "9,x"], 1, "expected block numbers, counted from 0, as 9,12"),
        (["--remove", "16", "--ppl", "demo"], 1, "no such block: 16"),
        (["--remove", "2", "--tasks", "hellaswig"], 1, "Did you mean 'hellaswag'? Leave them out"),
        (["--remove", "2", "--tasks", "piqa"], 1, "tasks that cannot be evaluated: piqa (Conn"),
        (["--remove", "2", "--ppl", "wikitext2"], 1, "give a file: wikitext2=FILE"),
        (["--remove", "2", "--ppl", "demo", "--min-accuracy", "0.5"], 1, "add --tasks"),
        (["--remove", "2", "--min-accuracy", "piqa=0.5"], 1, "piqa is not evaluated"),
        (["--remove", "2", "--min-accuracy", "high"], 1, "expected a number from 0 to 1"),
        (["--remove", "2", "--batch-size", "0"], 1, "batch_size: 0 is outside 1.."),
        (["--max-ppl-ratio", "2"], 1, "no dense model to compare with"),
        (["--run", "nothing"], 1, "no such run"),
        (["--include-path", "gone"], 1, "--include-path: no such folder: gone"),
        (["--limit", "few"], 1, "limit: expected int, got 'few'"),
        (["--remove", "2", "--prompts", "gone.txt"], 1, "data 'gone.txt': no such file"),
        (["--remove", "2", "--prompts", "demo", "--new-tokens", "0"], 1, "--new-tokens: expected"),
    ],
)
def test_a_mistake_costs_one_line_and_no_time(prunekit, tmp_path, words, status, message):
    found, out, err = prunekit("evaluate", "-q", *words)
    assert (found, out) == (status, "")
    assert message in err
    assert "Traceback" not in err
    if status == 1:
        assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "prunekit-runs").exists()
