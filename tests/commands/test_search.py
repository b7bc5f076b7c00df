"""A search from end to end: what it finds, what it keeps, how it goes on."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import prunekit
from prunekit.core import CheckpointError, ConfigError
from prunekit.core.errors import Interrupted, StorageError

pytestmark = pytest.mark.usefixtures("repeated_seldom")


def same(result):
    """All of a result but timings and work counters."""
    return dataclasses.replace(result, work=None)


def segments(quick):
    return sorted(quick["workdir"].glob("journals/*/*.jsonl"))


def rows(quick):
    return [
        json.loads(line)
        for path in segments(quick)
        for line in path.read_text().splitlines()[1:]
        if line.endswith("}")
    ]


def measured_twice(quick):
    found = [(tuple(row["removed"]), tuple(row["samples"])) for row in rows(quick)]
    return len(found) - len(set(found))


def test_the_result_is_complete_and_adds_up(quick):
    result = prunekit.search(searcher="greedy", **quick)
    assert len(result.removed) == result.budget == 3
    assert sorted(result.removed + result.kept) == list(range(8))
    assert result.difference.value == pytest.approx(result.pruned.loss - result.dense.loss)
    assert result.difference.standard_error > 0
    assert result.runner_up.behind.value >= 0
    assert result.work.asked == 8 + 7 + 6
    assert 0 < result.work.block_runs < result.work.block_runs_alone
    assert 0 < result.parameters_removed < result.parameters
    assert set(result.versions) == {"prunekit", "python", "torch", "transformers"}


def test_the_run_folder_repeats_the_run(quick):
    result = prunekit.search(searcher="genetic", seed=3, genetic={"population": 4}, **quick)
    stored = json.loads(
        (quick["workdir"] / "runs" / result.run.split("/")[-1] / "result.json").read_text()
    )
    assert stored == result.as_dict()
    config = yaml.safe_load(Path(result.run, "config.yaml").read_text())
    assert config["genetic"] == {
        "population": 4,
        "elite": 0.2,
        "mutation": 0.15,
        "generations": 10,
        "include_one_shot": True,
    }
    before = rows(quick)
    assert prunekit.search(**config, workdir=quick["workdir"]) == result
    assert rows(quick) == before


def test_a_second_searcher_reuses_what_the_first_measured(quick):
    prunekit.search(searcher="greedy", **quick)
    result = prunekit.search(searcher="one-shot", **quick)
    assert (result.work.measured, result.work.block_runs) == (0, 0)
    assert measured_twice(quick) == 0


def test_budget_seed_and_batch_size_share_a_journal_but_data_do_not(quick):
    prunekit.search(searcher="one-shot", **quick)
    assert prunekit.search(searcher="one-shot", **{**quick, "budget": 2}).work.measured == 0
    assert prunekit.search(searcher="one-shot", tokens_per_forward=24, **quick).work.measured == 0
    other = {**quick, "ppl": {**quick["ppl"], "seed": 1}}
    assert prunekit.search(searcher="one-shot", **other).work.measured == 8


def test_an_objective_that_was_edited_measures_anew(quick, install, tmp_path):
    source = (
        "from prunekit.core import hookimpl\n"
        "from prunekit.plugins.objectives.perplexity import Perplexity\n"
        "class Mine(Perplexity):\n    'Mine.'\n    name = 'mine'\n"
        "@hookimpl\ndef prunekit_objectives(): return [Mine]\n"
    )
    install("prunekit-mine", source)
    given = {**quick, "objective": "mine", "mine": quick["ppl"], "searcher": "one-shot"}
    del given["ppl"]
    prunekit.search(**given)
    before = rows(quick)
    prunekit.search(**given)
    assert rows(quick) == before
    (tmp_path / "site" / "prunekit_mine.py").write_text(source + "SCALE = 10\n")
    prunekit.search(**given)
    assert len(rows(quick)) == 2 * len(before)


def test_by_default_a_quarter_of_the_blocks_goes(quick):
    del quick["budget"]
    assert len(prunekit.search(searcher="one-shot", **quick).removed) == 2


def test_protected_blocks_stay(quick):
    result = prunekit.search(searcher="greedy", protect_first=2, protect_last=2, **quick)
    assert set(result.removed) <= {2, 3, 4, 5}


def test_a_journal_cut_at_any_byte_gives_the_same_result(quick):
    quick["finalists"] = 0
    whole = prunekit.search(searcher="one-shot", **quick)
    (path,) = segments(quick)
    content = path.read_bytes()
    for part in range(8):
        path.write_bytes(content[: len(content) * part // 8 + part])
        for other in segments(quick)[:]:
            if other != path:
                other.unlink()
        assert same(prunekit.search(searcher="one-shot", **quick)) == same(whole)
        assert measured_twice(quick) == 0


def test_two_searches_at_once_both_end_right(quick):
    code = (
        "import sys, json, prunekit; prunekit.search(searcher='greedy', **json.loads(sys.argv[1]))"
    )
    arguments = json.dumps({**quick, "workdir": str(quick["workdir"])})
    children = [subprocess.Popen([sys.executable, "-c", code, arguments]) for _ in range(2)]
    assert [child.wait() for child in children] == [0, 0]
    before = rows(quick)
    result = prunekit.search(searcher="greedy", **quick)
    assert rows(quick) == before
    assert result.work.measured >= result.work.asked == 21
    assert len(
        {(tuple(r["removed"]), *map(tuple, (r["sums"], r["samples"]))) for r in rows(quick)}
    ) == len({(tuple(r["removed"]), tuple(r["samples"])) for r in rows(quick)})


def test_ctrl_c_says_the_best_so_far_and_keeps_everything(quick, monkeypatch):
    from prunekit.plugins.objectives.perplexity import Perplexity

    original, moments = Perplexity.measure, iter(range(10**6))

    def interrupted(self, output, batch):
        if next(moments) == 40:
            raise KeyboardInterrupt
        return original(self, output, batch)

    monkeypatch.setattr(Perplexity, "measure", interrupted)
    with pytest.raises(Interrupted, match=r"Best so far: blocks \d.*run the same command again"):
        prunekit.search(searcher="genetic", **quick)
    assert len(rows(quick)) > 8
    monkeypatch.setattr(Perplexity, "measure", original)
    prunekit.search(searcher="genetic", **quick)
    assert measured_twice(quick) == 0


def test_a_loss_that_is_not_finite_is_the_worst(quick, monkeypatch):
    from prunekit.plugins.objectives.perplexity import Perplexity

    original = Perplexity.measure
    count = iter(range(10**6))

    def broken(self, output, batch):
        sums, weights = original(self, output, batch)
        return (sums * float("-inf") if next(count) == 4 else sums), weights

    monkeypatch.setattr(Perplexity, "measure", broken)
    prunekit.search(searcher="one-shot", **quick)
    (bad,) = [row for row in rows(quick) if None in row["sums"]]
    again = prunekit.search(searcher="one-shot", **quick)
    assert not set(bad["removed"]) & set(again.removed)


def test_a_dense_model_that_is_broken_is_not_searched(quick, monkeypatch):
    from prunekit.plugins.objectives.perplexity import Perplexity

    original = Perplexity.measure
    monkeypatch.setattr(
        Perplexity, "measure", lambda *a: (original(*a)[0] * float("nan"), original(*a)[1])
    )
    with pytest.raises(CheckpointError, match="the loss of the dense model is not finite"):
        prunekit.search(**quick)


def test_with_one_sample_a_difference_has_no_error(quick):
    quick["ppl"] = {"data": "demo", "samples": 1, "length": 24}
    result = prunekit.search(searcher="one-shot", **quick)
    assert result.difference.standard_error is None
    assert result.difference.value == result.pruned.loss - result.dense.loss


def test_a_searcher_named_with_its_distribution_repeats_from_its_run(quick):
    result = prunekit.search(searcher="prunekit:one-shot", **quick)
    config = yaml.safe_load(Path(result.run, "config.yaml").read_text())
    assert config["searcher"] == "one-shot"
    assert same(prunekit.search(**config, workdir=quick["workdir"])) == same(result)


def test_a_workdir_that_cannot_be_written_is_one_line(quick, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        prunekit.search(**{**quick, "workdir": tmp_path / "file"})


def test_a_disk_that_fills_up_loses_nothing(quick):
    code = (
        "import sys, json, resource, signal, prunekit, prunekit.engine.cache as cache\n"
        "from prunekit.core import PrunekitError\n"
        "cache.SECONDS_BETWEEN_WRITES = 0\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "try:\n    prunekit.search(searcher='genetic', **json.loads(sys.argv[1]))\n"
        "except PrunekitError as error:\n    print(error)\n"
    )
    arguments = json.dumps({**quick, "workdir": str(quick["workdir"])})
    command = [sys.executable, "-c", code, arguments]
    printed = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert "All earlier measurements are safe" in printed.stdout, printed.stderr
    saved = len(rows(quick))
    assert saved > 2
    prunekit.search(searcher="genetic", **quick)
    assert measured_twice(quick) == 0


def test_a_sample_longer_than_the_context_is_refused_before_the_model_is_read(quick):
    quick["ppl"] = {"data": "demo", "samples": 2, "length": 200}
    with pytest.raises(ConfigError, match="context holds 128; lower --ppl.length"):
        prunekit.search(**quick)


def test_saving_over_something_is_refused_before_any_work(quick, tmp_path):
    with pytest.raises(ConfigError, match="exists already"):
        prunekit.search(save=tmp_path, **quick)
    assert not quick["workdir"].exists()


def test_a_finished_search_given_again_gives_back_what_it_cost(quick):
    first = prunekit.search(searcher="greedy", **quick)
    again = prunekit.search(searcher="greedy", **quick)
    assert again == first
    assert json.loads(Path(first.run, "result.json").read_text()) == first.as_dict()


def test_what_is_measured_anew_is_added_to_what_was_spent(quick):
    first = prunekit.search(searcher="greedy", **quick)
    for path in segments(quick):
        path.unlink()
    again = prunekit.search(searcher="greedy", **quick)
    assert (again.work.measured, again.work.block_runs, again.work.asked) == (
        2 * first.work.measured,
        2 * first.work.block_runs,
        first.work.asked,
    )
    assert again.work.seconds > first.work.seconds


def test_what_sessions_that_were_stopped_spent_is_added_up(quick, monkeypatch):
    from prunekit.plugins.objectives.perplexity import Perplexity

    whole = prunekit.search(searcher="genetic", **{**quick, "workdir": quick["workdir"] / "whole"})
    original, moments = Perplexity.measure, iter(range(10**6))

    def interrupted(self, output, batch):
        if next(moments) in (20, 45):
            raise KeyboardInterrupt
        return original(self, output, batch)

    monkeypatch.setattr(Perplexity, "measure", interrupted)
    for _ in range(2):
        with pytest.raises(Interrupted):
            prunekit.search(searcher="genetic", **quick)
    result = prunekit.search(searcher="genetic", **quick)
    assert result.work.measured == whole.work.measured
    assert result.work.block_runs >= whole.work.block_runs


@pytest.mark.parametrize(
    ("data", "content"), [("nowhere.txt", None), ("short.txt", "Too short."), ("bad.jsonl", "{")]
)
def test_a_search_that_fails_on_its_data_leaves_nothing(quick, tmp_path, data, content):
    if content is not None:
        (tmp_path / data).write_text(content)
    quick["ppl"] = {**quick["ppl"], "data": str(tmp_path / data)}
    with pytest.raises(ConfigError):
        prunekit.search(**quick)
    assert not quick["workdir"].exists()


def test_a_broken_record_of_the_cost_is_named(quick):
    result = prunekit.search(searcher="one-shot", **quick)
    (record,) = Path(result.run, "work").iterdir()
    record.write_text("{")
    with pytest.raises(ConfigError, match="is not JSON .* remove it"):
        prunekit.search(searcher="one-shot", **quick)


@pytest.mark.parametrize("place", ["file/pruned", "/proc/prunekit/pruned", "/dev/full/pruned"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_loaded(
    quick, tmp_path, monkeypatch, place
):
    from prunekit.hf.checkpoint import Checkpoint

    monkeypatch.setattr(Checkpoint, "config", None)
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match=f"{place} cannot be written: .*choose another place"):
        prunekit.search(save=place, **quick)


def test_a_checkpoint_that_cannot_be_saved_at_the_end_does_not_lose_the_search(
    quick, tmp_path, monkeypatch
):
    import prunekit.plugins.commands.export.export

    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prunekit.plugins.commands.export.export, "write_weights", full)
    with pytest.raises(StorageError, match="No space left.*`prunekit export --run .* writes it"):
        prunekit.search(save=tmp_path / "pruned", **quick)
    (run,) = (quick["workdir"] / "runs").iterdir()
    assert (run / "result.json").is_file()


def test_a_plugin_that_changes_the_working_directory_scatters_nothing(
    tiny_model, install, tmp_path, monkeypatch
):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    install(
        "prunekit-wanderer",
        "import os\nfrom prunekit.core import hookimpl\nclass Wanderer:\n    'Wanders.'\n"
        "    name = 'wanderer'\n    def search(self, problem):\n        os.chdir('../elsewhere')\n"
        "        yield [frozenset([1])]\n        return frozenset([1])\n"
        "@hookimpl\ndef prunekit_searchers(): return [Wanderer]\n",
    )
    text = {"data": "demo", "samples": 2, "length": 24}
    result = prunekit.search(str(tiny_model()), searcher="wanderer", budget=1, ppl=text)
    assert not list((tmp_path / "elsewhere").iterdir())
    run = tmp_path / "here" / result.run
    assert {path.name for path in run.iterdir()} >= {"result.json", "config.yaml"}
    assert list((tmp_path / "here" / "prunekit-runs" / "journals").glob("*/*.jsonl"))
