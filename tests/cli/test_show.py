"""`prunekit show`, in words."""

import json
import subprocess
from pathlib import Path

import pytest

QUICK = ["--searcher", "one-shot", "--ppl.data", "demo", "--ppl.samples", "2", "--ppl.length", "24"]
QUICK += ["--finalists", "0"]


@pytest.fixture
def run(prunekit, tiny_model):
    """The name of a run."""
    _, out, _ = prunekit("search", "--model", tiny_model(), "-k", 2, "--json", *QUICK)
    return Path(json.loads(out)["run"]).name


def printed(prunekit, *words):
    status, out, err = prunekit("show", *words)
    assert (status, err) == (0, "")
    lines = [line for line in out.splitlines() if "prunekit " not in line and "/" not in line]
    assert max(map(len, lines)) <= 80
    return out


def commands(out):
    return [line.split("prunekit ")[1] for line in out.splitlines() if "  prunekit " in line]


def test_a_run_in_words(prunekit, run):
    out = printed(prunekit, run)
    assert all(word in out for word in ("·", "dense", "pruned", "±", "block forwards", "made with"))
    assert commands(out) == [
        f"export --run {run} --to pruned",
        f"evaluate --run {run}",
        f"evaluate --run {run} --prompts demo",
        f"latency --run {run}",
    ]
    assert out == printed(prunekit, f"prunekit-runs/runs/{run}")


def test_what_was_measured_of_it_later(prunekit, run):
    prunekit("latency", "--run", run, "--prompt-length", 4, "--new-tokens", 2, "--repeats", 1, "-q")
    evaluated = prunekit(
        "evaluate", "--run", run, "--ppl", "demo", "--ppl-samples", 2, "--json", "-q"
    )
    row = json.loads(evaluated[1])["perplexities"]
    (row,) = row.values() if isinstance(row, dict) else row
    out = printed(prunekit, run)
    assert "times as fast" in out
    assert "demo" in out
    assert f"{row['dense']:.2f}" in out.replace(",", "")
    prunekit("export", "--run", run, "--to", "pruned")
    assert f"{row['dense']:.2f}" in printed(prunekit, "pruned").replace(",", "")


def test_a_run_that_is_not_over(prunekit, run):
    folder = Path("prunekit-runs", "runs", run)
    (folder / "result.json").unlink()
    out = printed(prunekit, run)
    assert commands(out) == commands(printed(prunekit))
    assert commands(out) == [f"search --config {folder}/config.yaml"]
    words = commands(out)[0].split()
    assert prunekit(*words, "--json")[0] == 0
    assert (folder / "result.json").is_file()


def test_an_exported_checkpoint(prunekit, run):
    prunekit("export", "--run", run, "--to", "pruned")
    out = printed(prunekit, "pruned")
    assert "pruned by prunekit 0.2.0" in out
    assert "llama, 6 blocks" in out
    assert "one-shot on ppl, seed 0" in out
    assert [words.split("--")[0] for words in commands(out)] == ["evaluate ", "latency "]


def test_blocks_named_by_hand(prunekit, tiny_model):
    prunekit("export", "--model", tiny_model(), "--remove", "2,5", "--to", "pruned")
    out = printed(prunekit, "pruned")
    assert "██·██·██" in out
    assert "chosen manually" in out


def test_a_checkpoint_that_was_changed_afterwards(prunekit, tiny_model):
    prunekit("export", "--model", tiny_model(), "--remove", "2,5", "--to", "pruned")
    path = Path("pruned", "config.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_hidden_layers": 5}))
    assert "it has 5 blocks, and its record says 6" in " ".join(printed(prunekit, "pruned").split())


def test_a_checkpoint_of_others(prunekit, tiny_model):
    out = printed(prunekit, tiny_model())
    assert "llama, 8 blocks, 205,344 parameters (F32 205,344)" in out
    assert "0.8 MB in 1 safetensors file\n" in out
    assert commands(out) == [f"search --model {tiny_model()}"]


def test_a_journal(prunekit, tiny_model):
    prunekit("search", "--model", tiny_model(), "-k", 2, "--finalists", 0, *QUICK)
    (folder,) = Path("prunekit-runs", "journals").iterdir()
    out = printed(prunekit, folder)
    assert "objective: Perplexity (data demo, column text, samples 2, length 24" in out
    assert "10 subsets of up to 2 samples, by 1 process\n" in out
    assert "by the number of blocks removed: 0: 1, 1: 8, 2: 1" in out


def test_options_without_a_value_are_not_shown(prunekit, tmp_path):
    from prunekit.engine.journal import Journal

    about = {"weights": "abc", "objective": "some.Mine", "options": {"samples": None, "seed": 0}}
    Journal(tmp_path / "journals" / "a", about).append([(frozenset({1}), (0, 1), ((1.0,), (1.0,)))])
    out = printed(prunekit, tmp_path / "journals" / "a")
    assert "objective: Mine (seed 0)" in out
    assert "1 subset of up to 1 sample, by 1 process" in out


def test_all_runs(prunekit, run):
    out = printed(prunekit)
    assert run in out
    assert "±" in out
    assert printed(prunekit, "prunekit-runs") == out


def test_json(prunekit, run):
    _, out, _ = prunekit("show", run, "--json")
    assert json.loads(out)["kind"] == "run"


def test_a_mistake_costs_one_line(prunekit):
    status, out, err = prunekit("show", "nothing")
    assert (status, out) == (1, "")
    assert err.startswith("error: nothing: nothing to show; expected the folder of a run")
    assert len(err.strip().splitlines()) == 1


def test_commands_are_quoted_whatever_a_checkpoint_says_of_itself(prunekit, tiny_model):
    prunekit("export", "--model", tiny_model(), "--remove", "1,2", "--to", "pruned")
    record = json.loads(Path("pruned", "prunekit.json").read_text())
    model = "a/b\n;touch PWNED"
    record |= {"model": model, "weights": f"{model}@x;touch PWNED"}
    Path("pruned", "prunekit.json").write_text(json.dumps(record))
    _, out, _ = prunekit("show", "pruned")
    (line,) = [line for line in out.splitlines() if line.startswith("time it")]
    command = line.split("prunekit ")[1]
    read = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True)
    words = read.stdout.decode().split("\0")[:-1]
    assert words == ["latency", "--model", model, "--remove", "1,2", "--revision", "x;touch PWNED"]
    assert not Path("PWNED").exists()


def test_an_error_that_quotes_a_long_value_keeps_its_beginning_and_its_end(prunekit, tmp_path):
    path = tmp_path / "long.yaml"
    path.write_text(f"seed: {'x' * 5000}y\n")
    status, _, err = prunekit("search", "--config", path, "--dry-run")
    assert status == 1
    assert err.startswith(f"error: {path}:1: seed: expected int, got 'xxx")
    assert err.endswith("xy'\n")
    assert len(err) < 2000
    assert len(err.strip().splitlines()) == 1


def test_a_model_that_was_pruned_twice_shows_its_whole_line(prunekit, tiny_model, tmp_path):
    model = str(tiny_model(n_blocks=6))
    for source, removed, to in ((model, "1", "once"), ("once", "0,3", "twice")):
        assert prunekit("export", "--model", source, "--remove", removed, "--to", to)[0] == 0
    out = printed(prunekit, "twice")
    assert f"removed 1 of blocks 0 to 5 of {Path(model).name} before\n" in out
    assert "removed 0,3 of blocks 0 to 4" in out


def test_a_run_whose_model_beats_the_dense_one(prunekit, run):
    path = Path("prunekit-runs", "runs", run, "result.json")
    row = json.loads(path.read_text())
    row["difference"] = {"value": -0.41, "standard_error": 0.05}
    row["pruned"]["loss"] = row["dense"]["loss"] - 0.41
    path.write_text(json.dumps(row))
    out = " ".join(printed(prunekit, run).split())
    assert "note: the pruned model beats the dense one by 0.41 ± 0.05 nats per token:" in out


def test_the_best_subsets_of_a_journal(prunekit, tmp_path):
    from prunekit.engine.journal import Journal

    objective = "prunekit.plugins.objectives.perplexity.Perplexity"
    about = {"weights": "abc", "objective": objective, "options": {}}
    folder = tmp_path / "journals" / "a"
    losses = {1: (1.0, 1.0), 2: (1.0, 1.5), 3: (3.0, 3.0)}
    Journal(folder, about).append(
        [(frozenset({i, 5}), (0, 2), (sums, (1.0, 1.0))) for i, sums in losses.items()]
    )
    _, out, _ = prunekit("show", folder, "--best", "10", "--budget", "2")
    assert f"{folder}: 3 subsets of 2 blocks, ppl on 2 samples\n" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["1,5", "1.0000", "best"] in lines
    assert ["2,5", "1.2500", "+0.2500", "±", "0.2500", "="] in lines
    assert ["3,5", "3.0000", "+2.0000", "±", "0.0000"] in lines
    assert "= cannot be told apart from the best at 5 % (Holm)" in out
    status, out, err = prunekit("show", folder, "--best", "10", "-k", "7")
    assert (status, out, len(err.splitlines())) == (1, "", 1)
    assert "subsets of this many blocks: 2" in err
