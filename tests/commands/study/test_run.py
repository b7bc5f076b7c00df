"""A study from end to end: the same choices as searches one by one, and nothing measured twice."""

from pathlib import Path

import pytest
import yaml

import prunekit
from prunekit.engine.best_so_far import Improvement
from prunekit.engine.study_folder import StudyFolder


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
        finalists=0,
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


def test_a_cell_keeps_how_its_search_improved(study):
    outcome = study(only="objective=ppl")
    for result in outcome.results:
        last = result.improvements[-1]
        assert last.difference <= result.difference
        assert last.block_runs <= result.block_runs
    (one_shot,) = (r for r in outcome.results if r.cell.searcher == "one-shot")
    assert one_shot.improvements == (Improvement(one_shot.block_runs, one_shot.difference),)


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


def test_block_forwards_are_those_of_measurements_alone(study):
    outcome = study(searchers=["one-shot"], only="objective=ppl")
    dense, choice = 8, 5
    single_removals = 7 + sum(7 - i for i in range(8))  # what lies below their block is shared
    assert outcome.effort.measured == 1 + 8 + 1
    assert outcome.effort.block_runs == dense + single_removals + choice
    assert outcome.effort.block_runs_alone == dense + 2 * single_removals + choice


def test_what_is_compared_is_of_the_same_searches(study, small):
    first = study(searchers=["one-shot"], only="objective=ppl").effort
    both = study(searchers=["one-shot", "greedy"], only="objective=ppl")
    greedy = next(r for r in both.results if r.cell.searcher == "greedy")
    importance = first.block_runs - 5
    assert both.effort.block_runs_alone == importance + greedy.block_runs
    assert both.effort.block_runs < greedy.block_runs
    assert (
        study(searchers=["one-shot", "greedy"], only="objective=ppl").effort.block_runs_alone == 0
    )
    mix = {"objective": "mix", "parts": "ppl:1,kl:1", **small["objectives"]}
    mixed = study(objectives={"mix": mix}, searchers=["one-shot"]).effort
    assert mixed.block_runs_alone == 2 * first.block_runs_alone


@pytest.mark.parametrize("searcher", ["one-shot", "greedy", "exhaustive"])
def test_the_cost_of_a_search_under_a_mix_is_what_the_search_alone_runs(
    study, small, tmp_path, searcher
):
    mix = {"parts": "ppl:1,kl:1"}
    options = small["objectives"]
    mixed = {"objectives": {"both": {"objective": "mix", **mix, **options}}}
    (cell,) = study(**mixed, searchers=[searcher], budgets=2).results
    (model,) = small["models"].values()
    alone = prunekit.search(
        model["model"],
        objective="mix",
        mix=mix,
        **options,
        searcher=searcher,
        budget=2,
        workdir=tmp_path / "alone",
        finalists=0,
    )
    assert cell.block_runs == alone.work.block_runs
    assert cell.block_runs_unshared == alone.work.block_runs_alone


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
    from prunekit.hf.prefix import PrefixMeter

    asked = []
    signal = PrefixMeter.signal

    def noted(self, wanted):
        asked.append(wanted.name)
        return signal(self, wanted)

    monkeypatch.setattr(PrefixMeter, "signal", noted)
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
    study(draws=[0, 1], searchers=["one-shot"], other_draws=False)
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


def test_progress_ends_at_what_was_expected(small, tmp_path):
    from prunekit.core.registry import load
    from prunekit.engine.progress import Progress
    from prunekit.plugins.commands.study.config import parse_study
    from prunekit.plugins.commands.study.run import plan, run_study

    steps = []
    config = parse_study({**small, "searchers": ["one-shot", "cbo"]}, load(), Path())
    run_study(plan(config, tmp_path), progress=Progress(steps.append))
    expected = next(step.total for step in steps if step.what == "searching" and step.total)
    done = [step.done for step in steps if step.unit == "subsets"]
    assert expected == pytest.approx(max(done), rel=0.25)  # of a model without sense
    searched = dict.fromkeys(step.what for step in steps if "draw" in step.what)
    assert list(searched) == ["tiny, ppl, draw 0", "tiny, kl, draw 0"]
    assert done == sorted(done)


def test_the_study_file_is_yaml_with_every_option(study):
    outcome = study(only="searcher=one-shot")
    stored = yaml.safe_load(Path(outcome.folder, "study.yaml").read_text())
    assert stored["searchers"]["genetic"]["mutation"] == 0.15
    assert stored["objectives"]["ppl"]["packing"] == "auto"
