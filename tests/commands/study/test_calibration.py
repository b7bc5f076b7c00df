"""Calibrations: the same objectives with other options, as one more axis of a study."""

import json
import textwrap
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from prunekit.core import ConfigError
from prunekit.engine.study_folder import Cell, Importance, StudyFolder
from prunekit.plugins.commands.report.data import read_study as read_report
from prunekit.plugins.commands.study.config import read_study
from prunekit.plugins.commands.study.planning import coordinates, plan_study, select

PLAIN = """\
models: demo
objectives:
  ppl: {samples: 8, packing: stream}
  margin:
  both: {objective: mix, parts: "kl:1,margin:2", kl: {length: 32}}
searchers: [one-shot, genetic]
budgets: 3
"""
GOOD = f"""\
{PLAIN}calibration:
  small: {{samples: 4, length: 48}}
  large: {{samples: 64}}
  long:
    ppl: {{length: 100}}
"""


@pytest.fixture
def read(tmp_path, registry):
    def read(text):
        path = tmp_path / "a.yaml"
        path.write_text(textwrap.dedent(text))
        return read_study(path, registry)

    return read


@pytest.fixture
def groups(read, registry):
    return lambda text: plan_study(read(text), registry)


def options(groups):
    """Options of the first search of each group, by objective and calibration."""
    return {(g.objective, g.calibration): g.plans[g.cells[0]].config.options for g in groups}


def test_every_objective_is_searched_under_each_calibration_that_applies_to_it(groups):
    assert [(g.objective, g.calibration) for g in groups(GOOD)] == [
        ("ppl", "small"),
        ("ppl", "large"),
        ("ppl", "long"),
        ("margin", "small"),
        ("margin", "large"),
        ("both", "small"),
        ("both", "large"),
    ]


def test_an_option_applies_where_it_exists_and_leaves_the_others_alone(groups):
    found = options(groups(GOOD))
    small, long = found["ppl", "small"]["ppl"], found["ppl", "long"]["ppl"]
    assert (small["samples"], small["length"], small["packing"]) == (4, 48, "stream")
    assert (long["samples"], long["length"], long["packing"]) == (8, 100, "stream")
    assert found["margin", "small"]["margin"]["samples"] == 4
    both = found["both", "small"]
    assert (both["kl"]["samples"], both["kl"]["length"], both["margin"]["samples"]) == (4, 48, 4)
    assert found["both", "large"]["kl"]["length"] == 32


def test_an_objective_to_which_no_calibration_applies_is_searched_as_it_is(groups):
    found = groups(GOOD.replace("samples: 4, ", "").replace("  large: {samples: 64}\n", ""))
    of_margin = [(g.objective, g.calibration) for g in found if g.objective == "margin"]
    assert of_margin == [("margin", "")]
    assert next(g for g in found if g.objective == "margin").cells[0].id == (
        "demo_margin_one-shot_k3_s0_d0"
    )


def test_a_label_without_options_is_every_objective_as_it_is(groups):
    found = options(groups(GOOD.replace("  large: {samples: 64}", "  usual:")))
    assert found["ppl", "usual"]["ppl"]["samples"] == 8
    assert ("margin", "usual") in found
    assert ("both", "usual") in found


def test_options_of_one_objective_win_over_those_of_all(groups):
    text = GOOD.replace("{samples: 64}", "{samples: 64, margin: {samples: 9}, ppl: {}}")
    found = options(groups(text))
    assert found["ppl", "large"]["ppl"]["samples"] == 64
    assert found["margin", "large"]["margin"]["samples"] == 9
    assert found["both", "large"]["margin"]["samples"] == 9
    assert found["both", "large"]["kl"]["samples"] == 64


def test_the_resolved_file_is_the_same_study(read, groups):
    text = yaml.safe_dump(read(GOOD).as_dict(), sort_keys=False)
    assert read(text).as_dict() == read(GOOD).as_dict()
    assert options(groups(text)) == options(groups(GOOD))
    assert "calibration" not in read(PLAIN).as_dict()


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("samples: 4,", "sample: 4,", 9, "calibration.small.sample: no objective of this study ha"),
        ("samples: 4,", "sample: 4,", 9, "Did you mean 'samples'?"),
        ("samples: 4,", "samples: x,", 9, "ppl.samples: expected int, got 'x'"),
        ("samples: 4,", "samples: 0,", 9, "ppl.samples: 0 is outside 1.."),
        ("samples: 4,", "seed: 4,", 9, "in a study the draws say this"),
        ("    ppl: {length: 100}", "    pl: {length: 100}", 12, "Did you mean 'ppl'?"),
        ("    ppl: {length: 100}", "    greedy: {length: 100}", 12, "no objective of this study"),
        ("    ppl: {length: 100}", "    ppl: 3", 12, "long.ppl: expected options such as"),
        ("    ppl: {length: 100}", "    ppl:\n      length: 0", 13, "ppl.length: 0 is outside 2.."),
        ("    ppl: {length: 100}", "    ppl: {lenth: 100}", 12, "Did you mean 'length'?"),
        ("    ppl: {length: 100}", "    ppl: {data: wiki}", 12, "data 'wiki': expected demo, c4"),
        (
            "  large: {samples: 64}",
            "  large: 64",
            10,
            "large: expected options such as",
        ),
        ("  large: {samples: 64}", "  '..': {samples: 64}", 10, "expected a label with letters"),
        ("{length: 32}}", "{length: 32}}\ncalibratio: {}", 6, "Did you mean 'calibration'?"),
        ("  large:", "  Small:", 10, "would be kept under one file name"),
    ],
)
def test_a_mistake_is_told_with_its_line(groups, old, new, line, message):
    assert old in GOOD
    with pytest.raises(ConfigError, match=rf"a\.yaml:{line}: .*") as error:
        groups(GOOD.replace(old, new))
    assert message in str(error.value)


def test_calibrations_are_a_mapping(read):
    with pytest.raises(ConfigError, match=r"a\.yaml:8: calibration: expected labels with options"):
        read(PLAIN + "calibration: [small]\n")


def test_draws_of_a_calibration_must_not_share_samples(groups):
    with pytest.raises(ConfigError, match="'ppl' under 'ppl large' have 2 draws, 0 to 1,"):
        groups(GOOD + "draws: [0, 1, 2]\n")


def test_an_objective_that_is_called_like_another_under_a_calibration_is_refused(groups):
    text = PLAIN.replace("  margin:", "  ppl small: {objective: margin}")
    same = r"a\.yaml:\d+: .* would be kept under one file name, demo_ppl-small_one-shot_k3"
    with pytest.raises(ConfigError, match=same):
        groups(text + "calibration: {small: {length: 48}}\n")


@pytest.mark.parametrize(
    ("pattern", "cells"),
    [
        ("calibration=small", 6),
        ("calibration=l*,searcher=one-shot", 4),
        ("ppl-small", 2),
    ],
)
def test_only_chooses_cells_by_calibration(groups, pattern, cells):
    assert sum(len(group.cells) for group in select(groups(GOOD), pattern)) == cells


def test_calibrations_that_there_are_are_told(groups):
    with pytest.raises(ConfigError, match="calibration: small, large, long"):
        select(groups(GOOD), "calibration=tiny")


def test_calibrations_are_listed_only_if_there_are_any(groups):
    assert coordinates(groups(GOOD))["calibration"] == ["small", "large", "long"]
    assert "calibration" not in coordinates(groups(PLAIN))


def test_files_of_studies_without_calibrations_still_read(tmp_path):
    folder, cell = StudyFolder(tmp_path), Cell("m", "ppl", "greedy", 1, 0, 0)
    assert cell.id == "m_ppl_greedy_k1_s0_d0"
    folder.write_cells([cell])
    folder.write_importance(Importance("m", "ppl", 0, "nats", 3.0, (3.1,)))
    for path in tmp_path.rglob("*.json"):
        path.write_text(path.read_text().replace(',\n   "calibration": ""', "")
                        .replace(',\n "calibration": ""', ""))  # fmt: skip
        assert "calibration" not in path.read_text()
    assert folder.cells() == [cell]
    assert folder.importances()[0].calibration == ""


CALIBRATIONS = {"few": {"samples": 2}, "short": {"ppl": {"length": 12}}}


def test_a_calibration_chooses_as_the_objective_with_its_options(study, small, tmp_path):
    searchers = {"greedy": None}
    found = study(calibration=CALIBRATIONS, searchers=searchers).results
    assert [(r.cell.objective, r.cell.calibration) for r in found] == [
        ("ppl", "few"), ("ppl", "short"), ("kl", "few"),
    ]  # fmt: skip
    alone = study(
        searchers=searchers,
        objectives={"ppl": {**small["objectives"]["ppl"], "length": 12}},
        workdir=tmp_path / "alone",
    ).results
    assert (found[1].removed, found[1].loss) == (alone[0].removed, alone[0].loss)
    assert found[0].loss != found[1].loss


def test_its_files_name_the_calibration_and_a_second_run_reads_them(study):
    first = study(calibration=CALIBRATIONS, only="searcher=one-shot")
    folder = StudyFolder(Path(first.folder))
    assert {c.calibration for c in folder.cells()} == {"few", "short"}
    assert {i.id for i in folder.importances()} == {
        "tiny_ppl-few_d0", "tiny_ppl-short_d0", "tiny_kl-few_d0",
    }  # fmt: skip
    assert (folder.path / "cells" / "tiny_ppl-few_one-shot_k3_s0_d0.json").is_file()
    again = study(calibration=CALIBRATIONS, only="searcher=one-shot")
    assert again.effort.measured == 0
    assert [asdict(r) for r in again.results] == [asdict(r) for r in first.results]


def test_the_meaning_of_a_calibration_is_fixed(study):
    study(calibration=CALIBRATIONS, only="searcher=one-shot")
    changed = {**CALIBRATIONS, "few": {"samples": 3}}
    with pytest.raises(ConfigError, match=r"another calibration 'few' \(samples was 2, is 3\)"):
        study(calibration=changed)
    study(only="searcher=one-shot,objective=kl")
    with pytest.raises(ConfigError, match="another calibration 'few'"):
        study(calibration=changed)


def test_a_study_begun_without_calibrations_goes_on_with_them(study, tmp_path):
    folder = Path(study(only="searcher=one-shot").folder)
    labels = json.loads((folder / "labels.json").read_text())
    del labels["calibration"]
    (folder / "labels.json").write_text(json.dumps(labels))
    assert study(calibration=CALIBRATIONS, only="searcher=one-shot").failures == ()
    (folder / "labels.json").write_text(json.dumps({**labels, "calibration": [1]}))
    with pytest.raises(ConfigError, match=r"labels\.json: calibration cannot be \[1\]"):
        study(calibration=CALIBRATIONS)


def test_a_study_begun_before_a_searcher_had_an_option_goes_on_with_its_default(study):
    folder = Path(study(only="searcher=one-shot").folder)
    labels = json.loads((folder / "labels.json").read_text())
    del labels["searchers"]["genetic"]["include_one_shot"]
    (folder / "labels.json").write_text(json.dumps(labels))
    assert study(only="searcher=one-shot").failures == ()
    (folder / "labels.json").write_text(json.dumps(labels))
    blind = {"one-shot": None, "genetic": {"population": 4, "generations": 1}}
    blind["genetic"]["include_one_shot"] = False
    with pytest.raises(ConfigError, match="include_one_shot was not given, is False"):
        study(searchers=blind)


def test_the_report_keeps_calibrations_apart(study):
    found = read_report(Path(study(calibration=CALIBRATIONS, only="searcher=one-shot").folder))
    assert found.objectives == ["ppl few", "ppl short", "kl few"]
    runs = zip(found.runs["objective"], found.runs["searcher"], strict=True)
    assert list(runs) == [(o, "one-shot") for o in found.objectives]
    assert {i.objective for i in found.importances} == set(found.objectives)
    assert [c.objective for c in found.not_run[:2]] == ["ppl few", "ppl few"]
