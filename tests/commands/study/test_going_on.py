"""A study that goes on from an earlier run is still the same study, or says that it is not."""

import shutil
from pathlib import Path

import pytest

from prunekit.core import ConfigError
from prunekit.core.errors import Interrupted
from prunekit.engine.study_folder import StudyFolder


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
        ({"keep_pattern": True}, "other settings (keep_pattern was not given, is True)"),
        ({"protect": "2"}, "other settings (protect was not given, is 2)"),
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


def test_ctrl_c_says_what_is_done_and_the_study_goes_on(study, monkeypatch, tmp_path, measured):
    from prunekit.hf.prefix import PrefixMeter

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
