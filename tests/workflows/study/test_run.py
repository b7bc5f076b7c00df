"""A study from end to end: the same choices as searches one by one, and nothing measured twice."""

import math
import shutil
from pathlib import Path

import pytest
import yaml

import prunekit
from prunekit.core import ConfigError
from prunekit.core.errors import Interrupted, StorageError
from prunekit.workflows.study.files import StudyFolder


@pytest.fixture
def study(small, tmp_path):
    """Run the small study, with changes, in one place."""

    def run(**changes):
        keywords = {k: changes.pop(k) for k in ("only", "jobs", "workdir") if k in changes}
        return prunekit.study({**small, **changes}, **{"workdir": tmp_path / "work", **keywords})

    return run


def search_of(cell, small, workdir):
    """The same cell as a search by itself."""
    searcher = {"searcher": cell.searcher, **(small["searchers"][cell.searcher] or {})}
    name = searcher.pop("searcher")
    return prunekit.search(
        small["models"][cell.model]["model"],
        searcher=name,
        objective=cell.objective,
        budget=cell.budget,
        seed=cell.seed,
        workdir=workdir,
        **{cell.objective: small["objectives"][cell.objective], name: searcher},
    )


def test_every_cell_ends_as_its_search_would_alone(study, small, tmp_path):
    outcome = study()
    assert not outcome.failures
    assert len(outcome.results) == 2 * (3 + 2)
    for result in outcome.results:
        alone = search_of(result.cell, small, tmp_path / "alone")
        assert result.removed == alone.removed
        assert (result.loss, result.dense_loss) == (alone.pruned.loss, alone.dense.loss)
        assert result.difference == alone.difference.value
        assert result.standard_error == alone.difference.standard_error
        assert (result.asked, result.unit) == (alone.work.asked, alone.unit)
        assert result.block_runs_unshared == alone.work.block_runs_alone
        assert result.parameters_removed == alone.parameters_removed


def test_the_cost_of_a_cell_is_that_of_its_search_with_an_empty_journal(study, small, tmp_path):
    outcome = study(only="objective=ppl")
    for number, result in enumerate(outcome.results):
        alone = search_of(result.cell, small, tmp_path / f"alone-{number}")
        assert result.block_runs == alone.work.block_runs
        assert result.seconds > 0


def test_nothing_is_measured_twice_and_searches_share_a_journal_with_studies(
    study, small, tmp_path, measured
):
    outcome = study(only="searcher=greedy")
    outcome = study()
    assert outcome.effort.measured > 0
    pieces = measured(tmp_path / "work")
    assert len(pieces) == len(set(pieces))
    alone = search_of(outcome.results[0].cell, small, tmp_path / "work")
    assert alone.work.measured == 0
    assert measured(tmp_path / "work") == pieces
    assert study().effort.measured == 0


def test_together_is_cheaper_than_one_by_one(study):
    outcome = study()
    alone = sum(result.block_runs for result in outcome.results)
    assert 0 < outcome.effort.block_runs < alone
    assert alone < sum(result.block_runs_unshared for result in outcome.results)


def test_the_folder_says_what_was_planned_and_how_important_blocks_are(study, small):
    outcome = study(name="a name, with words")
    folder = StudyFolder(Path(outcome.folder))
    assert folder.path.name == "a-name-with-words"
    assert [r.cell for r in outcome.results] == folder.cells()
    importances = {i.objective: i for i in folder.importances()}
    assert set(importances) == {"ppl", "kl"}
    one_shot = next(r for r in outcome.results if r.cell.searcher == "one-shot")
    singles = importances["ppl"].singles
    assert sorted(sorted(range(8), key=singles.__getitem__)[:3]) == list(one_shot.removed)
    assert importances["ppl"].dense == one_shot.dense_loss
    again = prunekit.study(folder.path / "study.yaml", workdir=folder.path.parents[1])
    assert (again.results, again.effort.measured) == (outcome.results, 0)


def test_signals_are_computed_once_and_named(study, monkeypatch):
    from prunekit.core.prefix import PrefixMeter

    asked = []
    signal = PrefixMeter.signal
    monkeypatch.setattr(PrefixMeter, "signal", lambda self, n: asked.append(n) or signal(self, n))
    outcome = study()
    assert asked == ["gate_gradients"] * 2  # one objective, one other
    assert {r.signals for r in outcome.results if r.cell.searcher == "fisher"} == {
        ("gate_gradients",)
    }
    assert {r.signals for r in outcome.results if r.cell.searcher != "fisher"} == {()}


def test_a_model_is_loaded_once_for_all_its_objectives_and_draws(study, monkeypatch):
    import prunekit.plugins.backends.local as local

    loaded = []
    load = local.load_adapter
    monkeypatch.setattr(local, "load_adapter", lambda *a: loaded.append(a) or load(*a))
    study(draws=[0, 1], searchers=["one-shot"])
    assert len(loaded) == 1


def test_draws_are_fresh_samples(study):
    outcome = study(draws=[0, 1], searchers=["one-shot"], budgets=2, only="objective=ppl")
    first, second = outcome.results
    assert (first.cell.draw, second.cell.draw) == (0, 1)
    assert first.dense_loss != second.dense_loss


def test_a_mix_of_objectives_shares_the_journals_of_its_parts(study, small, tmp_path, measured):
    mix = {"objective": "mix", "parts": "ppl:1,kl:1", **small["objectives"]}
    objectives = {**small["objectives"], "both": mix}
    outcome = study(objectives=objectives, searchers=["greedy"], budgets=2, jobs=2)
    assert {r.cell.objective: r.unit for r in outcome.results}["both"] == "deviations"
    pieces = measured(tmp_path / "work")
    assert len(pieces) == len(set(pieces))
    assert len({folder for folder, _, _ in pieces}) == 2


def test_two_jobs_leave_the_same_files(study, evaluate, tmp_path, files):
    one = study(draws=[0, 1], evaluate=evaluate, workdir=tmp_path / "one")
    two = study(draws=[0, 1], evaluate=evaluate, workdir=tmp_path / "two", jobs=2)
    assert one.effort == two.effort
    assert len(list(Path(two.folder).glob("evaluations/tiny/*.json"))) > 2
    assert files(Path(one.folder)) == files(Path(two.folder))


def test_only_some_cells(study, tmp_path):
    outcome = study(only="objective=ppl,searcher=greedy")
    assert {(r.cell.objective, r.cell.searcher) for r in outcome.results} == {("ppl", "greedy")}
    folder = StudyFolder(Path(outcome.folder))
    assert len(folder.cells()) == 10
    assert sum(folder.cell(cell) is not None for cell in folder.cells()) == 1


def test_a_search_that_fails_fails_alone_and_is_tried_again(study, install):
    source = (
        "from prunekit.core import hookimpl\nclass Breaks:\n    'Breaks.'\n    name = 'breaks'\n"
        "    def search(self, problem):\n        yield [frozenset([1])]\n        {}\n"
        "@hookimpl\ndef prunekit_searchers(): return [Breaks]\n"
    )
    install("prunekit-breaks", source.format("raise ValueError('on purpose')"))
    outcome = study(searchers=["greedy", "breaks"], seeds=[0])
    assert {r.cell.searcher for r in outcome.results} == {"greedy"}
    assert len(outcome.failures) == 2
    assert all("ValueError: on purpose" in failure.error for failure in outcome.failures)
    module = Path(__import__("prunekit_breaks").__file__)
    module.write_text(source.format("return frozenset(range(problem.budget))"))
    install.__globals__["sys"].modules.pop("prunekit_breaks")
    outcome = study(searchers=["greedy", "breaks"], seeds=[0])
    assert len(outcome.results) == 4
    assert not outcome.failures


def test_a_mix_without_gradients_fails_only_what_needs_them(study, small):
    mix = {"objective": "mix", "parts": "ppl:1", "ppl": small["objectives"]["ppl"]}
    outcome = study(objectives={"mix": mix})
    assert {f.cell.searcher for f in outcome.failures} == {"fisher"}
    assert len(outcome.results) == 2 + 2


def test_models_that_cannot_be_loaded_fail_alone(study, small, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(small["models"]["tiny"]["model"], broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    models = {"broken": {"model": str(broken)}, "nobody/nothing": None, **small["models"]}
    outcome = study(models=models, searchers=["greedy"])
    assert {r.cell.model for r in outcome.results} == {"tiny"}
    errors = {f.cell.model: f.error for f in outcome.failures}
    assert "broken or cut short" in errors["broken"]
    assert "not in the local cache" in errors["nobody/nothing"]
    assert len(outcome.failures) == 2 * 2


def test_data_that_cannot_be_had_fails_its_objective_alone(study, small):
    objectives = {**small["objectives"], "other": {"objective": "ppl", "data": "gone.txt"}}
    outcome = study(objectives=objectives, searchers=["greedy"])
    assert {f.cell.objective for f in outcome.failures} == {"other"}
    assert all("no such file" in f.error for f in outcome.failures)
    assert len(outcome.results) == 2


def test_a_model_whose_losses_are_not_finite_fails(study, small, tmp_path):
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "nan"
    shutil.copytree(small["models"]["tiny"]["model"], broken)
    tensors = load_file(broken / "model.safetensors")
    tensors["model.norm.weight"].fill_(math.nan)
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    outcome = study(models={"nan": {"model": str(broken)}}, searchers=["greedy"], budgets=2)
    assert not outcome.results
    assert all("dense model is not finite" in f.error for f in outcome.failures)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"searchers": {"genetic": {"population": 6}}},
            "another searcher 'genetic' (population was 4, is 6",
        ),
        (
            {"objectives": {"ppl": {"samples": 5}}},
            "another objective 'ppl' (data was demo, is not given, samples was 4, is 5",
        ),
        ({"protect_first": 1}, "other settings (protect_first was 0, is 1)"),
        ({"dtype": "float32"}, "other settings (dtype was auto, is float32)"),
    ],
)
def test_one_label_never_stands_for_two_things(study, changes, message):
    study(only="searcher=one-shot,objective=ppl")
    with pytest.raises(ConfigError) as error:
        study(**changes)
    assert message in str(error.value)


def test_labels_come_and_go_and_speed_may_change(study):
    first = study(searchers=["one-shot"], objectives={"ppl": {"samples": 4, "length": 24}})
    second = study(
        searchers=["greedy"],
        objectives={"ppl": {"samples": 4, "length": 24}},
        tokens_per_forward=48,
    )
    folder = StudyFolder(Path(second.folder))
    assert {cell.searcher for cell in folder.cells()} == {"greedy"}
    assert all(folder.cell(result.cell) for result in first.results)


def test_other_weights_under_the_same_name_are_refused(study, small, tiny_model, tmp_path):
    place = tmp_path / "model"
    shutil.copytree(small["models"]["tiny"]["model"], place)
    study(models={"m": {"model": str(place)}}, searchers=["one-shot"])
    other = tiny_model("llama3", n_blocks=8, rms_norm_eps=1e-3)
    shutil.copy(other / "config.json", place)
    outcome = study(models={"m": {"model": str(place)}}, searchers=["one-shot", "greedy"])
    assert {r.cell.searcher for r in outcome.results} == {"one-shot"}
    assert all(
        "not as it was when this study began (weights was" in f.error for f in outcome.failures
    )


def test_a_shape_that_is_not_the_models_own_is_told(study, small, tiny_model):
    shape = {"config": str(tiny_model("llama3", n_blocks=6)), **small["models"]["tiny"]}
    outcome = study(models={"m": shape}, searchers=["one-shot"], budgets=2)
    assert "it has 8 blocks, the `config` given for it says 6" in outcome.failures[0].error


def test_ctrl_c_says_what_is_done_and_the_study_goes_on(study, monkeypatch, tmp_path, measured):
    from prunekit.core.prefix import PrefixMeter

    measure = PrefixMeter.measure
    calls = []

    def interrupted(self, wanted):
        calls.append(wanted)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return measure(self, wanted)

    monkeypatch.setattr(PrefixMeter, "measure", interrupted)
    with pytest.raises(Interrupted, match=r"stopped\. \d of 10 searches are done, in .*small"):
        study()
    outcome = study()
    assert len(outcome.results) == 10
    pieces = measured(tmp_path / "work")
    assert len(pieces) == len(set(pieces))


def test_a_journal_that_cannot_be_read_fails_its_group_alone(study, tmp_path):
    study(searchers=["one-shot"])
    broken = next(iter(tmp_path.glob("work/journals/*/*.jsonl")))
    broken.write_text("nonsense\n" + broken.read_text())
    outcome = study(searchers=["one-shot", "greedy"])
    assert len(outcome.results) == 3
    (failure,) = outcome.failures
    assert "jsonl:1: not a line of this journal" in failure.error


def test_a_full_disk_stops_the_study(study, monkeypatch):
    from prunekit.core.journal import Journal

    def full(self, pieces):
        raise StorageError("no room")

    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(StorageError, match="no room"):
        study()


def test_progress_ends_at_what_was_expected(small, tmp_path):
    from prunekit.core.registry import load
    from prunekit.workflows.study.config import parse_study
    from prunekit.workflows.study.run import plan, run_study

    class Watch:
        parts, titles, done = [], [], []

        def begin(self, what, unit, expect):
            self.parts.append((what, unit, expect()))

        def now(self, title):
            self.titles.append(title)

        def advance(self, done):
            self.done.append(done)

    watch = Watch()
    config = parse_study({**small, "searchers": ["one-shot", "cbo"]}, load(), Path())
    run_study(plan(config, tmp_path), watch=watch)
    what, unit, expected = watch.parts[0]
    assert (what, unit) == ("searching", "subsets")
    assert expected == pytest.approx(max(watch.done), rel=0.1)
    searched = [title for title in watch.titles if "draw" in title]
    assert searched == ["tiny, ppl, draw 0", "tiny, kl, draw 0"]
    assert watch.done == sorted(watch.done)


def test_the_study_file_is_yaml_with_every_option(study):
    outcome = study(only="searcher=one-shot")
    stored = yaml.safe_load(Path(outcome.folder, "study.yaml").read_text())
    assert stored["searchers"]["genetic"]["mutation"] == 0.15
    assert stored["objectives"]["ppl"]["packing"] == "auto"
