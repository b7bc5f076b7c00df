"""A study in 16 bits, where batches and threads change a loss, goes on with those it began with."""

import json

import pytest
import torch

from prunekit.core.errors import ConfigError, Interrupted
from prunekit.hf.prefix import PrefixMeter
from prunekit.plugins.commands.study.origin import note_threads, threads_of_first_run

SHORT = {"data": "demo", "samples": 4, "length": 24}
FEW = {"searchers": ["one-shot", "greedy"], "objectives": {"ppl": SHORT}}


@pytest.fixture
def threads():
    """Give this process a number of threads, and its own one back at the end."""
    own = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(own)


@pytest.fixture
def stop_after(monkeypatch):
    """Stop a study as Ctrl-C does, once it has measured a few times."""
    measure = PrefixMeter.measure

    def stop(calls):
        left = iter(range(calls))

        def measured(self, wanted):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return measure(self, wanted)

        monkeypatch.setattr(PrefixMeter, "measure", measured)
        return lambda: monkeypatch.setattr(PrefixMeter, "measure", measure)

    return stop


@pytest.mark.parametrize(("begun", "later"), [(2, 1), (1, 2)])
def test_it_goes_on_with_the_threads_of_its_first_run(
    study, files, measured, threads, stop_after, evaluate, tmp_path, begun, later
):
    given = {**FEW, "dtype": "bfloat16", "evaluate": evaluate}
    threads(begun)
    whole = study(**given, workdir=tmp_path / "whole")
    go_on = stop_after(4)
    with pytest.raises(Interrupted):
        study(**given)
    go_on()
    threads(later)
    again = study(**given)
    assert files(tmp_path / "work" / "studies") == files(tmp_path / "whole" / "studies")
    assert sorted(measured(tmp_path / "work")) == sorted(measured(tmp_path / "whole"))
    assert again.effort.measured < whole.effort.measured
    assert torch.get_num_threads() == later


def test_its_threads_are_those_of_one_process_of_the_first_run(tmp_path, threads):
    threads(7)
    note_threads(tmp_path, jobs=3)
    note_threads(tmp_path, jobs=1)
    with threads_of_first_run(tmp_path) as settle:
        assert torch.get_num_threads() == 2
        settle({"dtype": "bfloat16", "device": "cpu"})
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 7


@pytest.mark.parametrize(
    "facts",
    [{"dtype": "float32", "device": "cpu"}, {"dtype": "bfloat16", "device": "cuda"}, {}],
)
def test_where_threads_change_no_loss_a_process_has_its_own(tmp_path, threads, facts):
    threads(7)
    note_threads(tmp_path, jobs=3)
    with threads_of_first_run(tmp_path) as settle:
        settle(facts)
        assert torch.get_num_threads() == 7


@pytest.mark.parametrize("text", ['{"threads": 0}', '{"threads": true}', '{"threads": "2"}', "{}"])
def test_a_number_of_threads_that_cannot_be_is_refused(tmp_path, text):
    (tmp_path / "threads.json").write_text(text)
    with (
        pytest.raises(ConfigError, match=r"threads\.json.*run the study again"),
        threads_of_first_run(tmp_path),
    ):
        pass


def test_other_batches_are_refused_and_its_cells_stay(study, tmp_path):
    given = {**FEW, "dtype": "bfloat16"}
    begun = study(**{**given, "searchers": ["one-shot"]}, tokens_per_forward=48)
    outcome = study(**given, tokens_per_forward=8192)
    assert {r.cell.searcher for r in outcome.results} == {"one-shot"}
    assert len(outcome.results) == len(begun.results)
    assert outcome.failures
    assert all("tokens_per_forward was 48, is 8192" in f.error for f in outcome.failures)
    assert not study(**given, tokens_per_forward=48).failures
    (model,) = (tmp_path / "work" / "studies").glob("*/models/*.json")
    assert json.loads(model.read_text())["fingerprint"]["tokens_per_forward"] == "48"


def test_an_evaluation_in_other_batches_is_refused(study, evaluate):
    given = {**FEW, "dtype": "bfloat16", "searchers": ["one-shot"]}
    study(**given, tokens_per_forward=48)
    outcome = study(**given, evaluate=evaluate, tokens_per_forward=8192)
    assert outcome.effort.unevaluated
    for missing in outcome.effort.unevaluated:
        assert "tokens_per_forward was 48, is 8192" in missing.error
