"""Every distinct choice, and the dense model, is evaluated once."""

from pathlib import Path

import pytest

import prunekit
import prunekit.plugins.commands.study.evaluating as evaluating
from prunekit.core import ConfigError
from prunekit.core.problem import DENSE
from prunekit.engine.study_folder import StudyFolder


@pytest.fixture
def study(small, evaluate, tmp_path):
    def run(**changes):
        return prunekit.study({**small, "evaluate": evaluate, **changes}, workdir=tmp_path)

    return run


@pytest.fixture
def asked(monkeypatch):
    """Every subset that an evaluator is asked for."""
    subsets = []
    evaluate_all = evaluating.Evaluator.evaluate_all

    def noting(self, some):
        subsets.extend(some)
        return evaluate_all(self, some)

    monkeypatch.setattr(evaluating.Evaluator, "evaluate_all", noting)
    return subsets


def test_each_distinct_choice_and_the_dense_model_are_evaluated_once(study, asked):
    outcome = study()
    choices = {frozenset(result.removed) for result in outcome.results}
    assert len(choices) < len(outcome.results)
    assert sorted(asked, key=sorted) == sorted(choices | {DENSE}, key=sorted)
    asked.clear()
    study(budgets=[3], seeds=[0])
    assert not asked


def test_an_evaluation_holds_what_the_evaluator_found(study, small, evaluate, tmp_path):
    from prunekit.core.registry import load
    from prunekit.core.spec import Spec
    from prunekit.hf.checkpoint import find
    from prunekit.hf.loading import load_adapter
    from prunekit.plugins.commands.evaluate.config import EvalConfig
    from prunekit.plugins.commands.evaluate.evaluator import Evaluator

    outcome = study(searchers=["one-shot"])
    removed = frozenset(outcome.results[0].removed)
    stored = StudyFolder(Path(outcome.folder)).evaluation("tiny", removed)
    spec = Spec(small["models"]["tiny"]["model"])
    config = EvalConfig(("demo",), ("demo",), limit=4, ppl_samples=3)
    evaluator = Evaluator(load_adapter(spec, load()), find(spec, load()), config)
    expected = evaluator.evaluate(removed)
    assert stored.perplexities == {"demo": expected.perplexities["demo"].perplexity}
    assert stored.accuracies == {"demo": expected.tasks["demo"].value}
    assert stored.standard_errors == {"demo": expected.tasks["demo"].standard_error}
    assert stored.details["tasks"]["demo"]["items"] == 4
    assert stored.details["perplexities"]["demo"]["windows"] == 3


def test_other_wishes_are_evaluated_anew(study, evaluate, asked):
    outcome = study(searchers=["one-shot"], evaluate={**evaluate, "batch_size": 2})
    asked.clear()
    study(searchers=["one-shot"])
    assert not asked  # the batch size changes nothing
    study(searchers=["one-shot"], evaluate={"ppl": ["demo"], "ppl_samples": 4})
    assert DENSE in asked
    stored = StudyFolder(Path(outcome.folder)).evaluation("tiny", DENSE)
    assert stored.details["perplexities"]["demo"]["windows"] == 4
    assert not stored.accuracies


def test_without_wishes_nothing_is_evaluated(small, tmp_path, asked):
    outcome = prunekit.study({**small, "searchers": ["one-shot"]}, workdir=tmp_path)
    assert not asked
    assert not Path(outcome.folder, "evaluations").exists()


def test_what_cannot_be_evaluated_is_told_and_stops_nothing_else(study, monkeypatch):
    def fails(self, some):
        raise RuntimeError("on purpose")

    with monkeypatch.context() as patched:
        patched.setattr(evaluating.Evaluator, "evaluate_all", fails)
        outcome = study(searchers=["one-shot"])
    assert len(outcome.results) == 2
    assert {u.model for u in outcome.effort.unevaluated} == {"tiny"}
    assert () in {u.removed for u in outcome.effort.unevaluated}
    assert all("RuntimeError: on purpose" in u.error for u in outcome.effort.unevaluated)
    assert not study(searchers=["one-shot"]).effort.unevaluated


@pytest.mark.parametrize(
    ("list_of", "wrong", "near"),
    [("ppl", "wikitex2", "wikitext2"), ("tasks", "commonsens", "commonsense")],
)
def test_an_item_of_a_list_is_told_with_its_line(tmp_path, list_of, wrong, near):
    path = tmp_path / "a.yaml"
    path.write_text(
        "models: demo\nobjectives: ppl\nsearchers: greedy\nbudgets: 2\nevaluate:\n"
        f"  {list_of}:\n  - demo\n  - {wrong}\n"
    )
    with pytest.raises(ConfigError, match=rf"a\.yaml:8: (?!--).*{wrong}.*Did you mean {near!r}"):
        prunekit.study(path, workdir=tmp_path)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ("{ppl: [wikitext]}", "no such protocol and no such file; .* Did you mean 'wikitext2'"),
        ("{task: [demo]}", "evaluate.task: no such key. Did you mean 'tasks'"),
        ("{tasks: [demo], include_path: gone}", "evaluate.include_path: no folder gone"),
        ("{tasks: 3}", "expected a list of names, got 3"),
        ("{limit: 0}", "limit: 0 is outside 1"),
        ("{ppl_stride: 0}", "ppl_stride: 0 is outside 1"),
        (
            "{tasks: [demoo]}",
            r"not a task of lm-eval [\d.]+\d. .*docs/evaluation.md.$",
        ),
        ("[demo]", "expected keys such as"),
    ],
)
def test_a_mistake_is_told_with_its_line_before_anything_is_loaded(
    tmp_path, wishes, message, monkeypatch
):
    monkeypatch.setattr("prunekit.hf.loading.load_adapter", None)
    path = tmp_path / "a.yaml"
    path.write_text(
        f"models: demo\nobjectives: ppl\nsearchers: greedy\nbudgets: 2\nevaluate:\n  {wishes}\n"
    )
    with pytest.raises(ConfigError, match=rf"a\.yaml:[56]: .*{message}"):
        prunekit.study(path, workdir=tmp_path)
