"""The file of a study: what it may say, and the line of every mistake."""

import textwrap
from pathlib import Path

import pytest
import yaml

from prunekit.core import ConfigError
from prunekit.plugins.commands.study.config import parse_study, read_study
from prunekit.plugins.commands.study.planning import plan_study, select

GOOD = """\
name: mine
models:
  small: {model: demo:llama3, dtype: float32}
  demo:qwen3:
objectives:
  ppl: {samples: 2, length: 24}
  both:
    objective: mix
    parts: ppl:1,margin:0.5
    margin: {samples: 4}
searchers:
  one-shot:
  cbo-fisher: {searcher: cbo, hessian: fisher}
  genetic: {population: 4}
budgets: [2, 3]
seeds: [0, 5]
draws: [0, 1]
protect_last: 1
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


def test_the_grid_is_models_by_objectives_by_draws_by_searches(groups):
    found = groups(GOOD)
    assert [(g.model, g.objective, g.draw) for g in found] == [
        (model, objective, draw)
        for model in ("small", "demo:qwen3")
        for objective in ("ppl", "both")
        for draw in (0, 1)
    ]
    cells = [(c.searcher, c.budget, c.seed) for c in found[0].cells]
    assert cells == [
        ("one-shot", 2, 0),
        ("one-shot", 3, 0),
        ("cbo-fisher", 2, 0),
        ("cbo-fisher", 3, 0),
        ("genetic", 2, 0),
        ("genetic", 2, 5),
        ("genetic", 3, 0),
        ("genetic", 3, 5),
    ]


def test_every_cell_has_the_words_of_a_search(groups):
    group = groups(GOOD)[3]
    plan = group.plans[group.cells[5]]
    settings = plan.config.settings
    assert (settings.model, settings.dtype, settings.protect_last) == ("demo:llama3", "float32", 1)
    assert (settings.searcher, plan.problem.budget, settings.seed) == ("genetic", 2, 5)
    assert plan.problem.protected == {15}
    assert plan.config.options["margin"]["samples"] == 4
    assert plan.config.options["margin"]["data"] == "demo"
    assert {plan.config.options[part]["seed"] for part in ("ppl", "margin")} == {1}


def test_lists_of_names_and_single_values_will_do(read):
    config = read(
        "models: demo\nobjectives: [ppl, margin]\nsearchers: [greedy, beam]\nbudgets: 3\n"
    )
    assert config.name == "a"
    assert [o.label for o in config.objectives] == ["ppl", "margin"]
    assert (config.budgets, config.seeds, config.draws) == ((3,), (0,), (0,))


def test_the_resolved_file_is_the_same_study(read, registry, groups):
    text = yaml.safe_dump(read(GOOD).as_dict(), sort_keys=False)
    assert read(text).as_dict() == read(GOOD).as_dict()
    plans = [[g.plans[c].config for c in g.cells] for g in groups(GOOD)]
    assert [[g.plans[c].config for c in g.cells] for g in groups(text)] == plans


def test_an_objective_without_draws_has_one_group(groups, install):
    install(
        "prunekit-fixed",
        "from prunekit.core import hookimpl\nclass Fixed:\n    'Fixed.'\n    name = 'fixed'\n"
        "    unit = 'nats'\n    def calibration_set(self, tokenizer): ...\n"
        "    def measure(self, output, batch): ...\n"
        "@hookimpl\ndef prunekit_objectives(): return [Fixed]\n",
    )
    from prunekit.core.registry import load

    config = {"models": "demo", "objectives": ["fixed", "ppl"], "searchers": "greedy"}
    config = parse_study({**config, "budgets": 2, "draws": [2, 3]}, load(), Path())
    found = [(g.objective, g.draw) for g in plan_study(config, load())]
    assert found == [("fixed", 2), ("ppl", 2), ("ppl", 3)]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("budgets: [2, 3]", "budget: [2, 3]", 15, "budget: no such key. Did you mean 'budgets'"),
        ("demo:qwen3", "demo:qwen4", 4, "no model is called 'qwen4'. Did you mean 'qwen3'"),
        ("model: demo:llama3", "model: no/such/folder", 3, "no such folder or file, and no name"),
        ("dtype: float32", "dtyp: float32", 3, "dtyp: no such key. Did you mean 'dtype'"),
        ("dtype: float32", "dtype: float31", 3, "dtype: expected auto|float32"),
        ("dtype: float32", "adapter: lama3", 3, "Did you mean 'llama3'"),
        ("dtype: float32", "config: nowhere", 3, "no config.json in"),
        ("samples: 2", "sample: 2", 6, "ppl.sample: no such option. Did you mean 'samples'"),
        ("samples: 2", "samples: none", 6, "ppl.samples: expected int, got 'none'"),
        ("samples: 2", "seed: 2", 6, "in a study the draws say this"),
        ("margin: {samples: 4}", "margin: {samples: 0}", 10, "margin.samples: 0 is outside 1.."),
        ("margin: {samples: 4}", "margin: {seed: 4}", 10, "in a study the draws say this"),
        ("objective: mix", "objective: mixx", 8, "Did you mean 'mix'"),
        ("ppl:1,margin", "pl:1,margin", 9, "no objective is called 'pl'. Did you mean 'ppl'"),
        ("margin:0.5", "margin", 9, "mix.parts: expected objectives and weights"),
        ("  one-shot:", "  oneshot:", 12, "Did you mean 'one-shot'"),
        ("hessian: fisher", "hessian: fish", 13, "cbo.hessian: expected pairwise|fisher|exact"),
        ("hessian: fisher", "hessian: fishr", 13, "got 'fishr'. Did you mean 'fisher'?"),
        ("  one-shot:", "  one-shot: 3", 12, "expected options such as"),
        ("budgets: [2, 3]", "budgets: [2, x]", 15, "budgets.1: expected int, got 'x'"),
        ("budgets: [2, 3]", "budgets: [2, 2]", 15, "budgets: 2 is given twice"),
        ("budgets: [2, 3]", "budgets: []", 15, "budgets: expected at least one number"),
        ("draws: [0, 1]", "draws: [0, 64]", 17, "draws: 64: the data of 'ppl' under 'ppl' have"),
        ("samples: 4}", "samples: 200}", 17, "'margin' under 'both' have one draw, 0, that share"),
        ("seeds: [0, 5]", "seeds: [0, -1]", 16, "seeds.1: -1 is outside 0.."),
        ("ppl: {", "ppl: {data: wikitex2, ", 6, "data 'wikitex2': expected demo, c4, wikitext2 or"),
        ("ppl: {", "ppl: {data: wikitex2, ", 6, "Did you mean 'wikitext2'"),
        ("margin: {samples: 4}", "margin: {data: gone.jsonl}", 10, "'gone.jsonl': no such file"),
        ("margin: {samples: 4}", "margn: {samples: 4}", 10, "mix.margn: no such option. Did"),
        ("margin: {samples: 4}", "kl: {samples: 4}", 10, "mix.kl: no such option. Known"),
        ("    objective: mix", "    objektive: mix", 8, "no such key. Did you mean 'objective'"),
        ("{searcher: cbo", "{seracher: cbo", 13, "no such key. Did you mean 'searcher'"),
        ("dtype: float32", "device: cdua", 3, "device: expected auto, cpu, cuda, cuda:N or mps"),
        ("protect_last: 1", "protect_last: 1\ndevice: cdua", 19, "Did you mean 'cuda'"),
        ("protect_last: 1", "protect_last: all", 18, "protect_last: expected int"),
        ("protect_last: 1", "protect_last: 1\nbackend: locale", 19, "Did you mean 'local'"),
        ("name: mine", "name: []", 1, "name: expected a word"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(groups, old, new, line, message):
    assert old in GOOD
    with pytest.raises(ConfigError, match=rf"a\.yaml:{line}: .*") as error:
        groups(GOOD.replace(old, new))
    assert message in str(error.value)


def test_items_of_lists_are_told_with_their_line(groups):
    with pytest.raises(ConfigError, match=r"a\.yaml:3: no objective is called 'margn'"):
        groups("models: [demo]\nobjectives: [ppl,\n  margn]\nsearchers: [greedy]\nbudgets: [2]\n")


def test_a_budget_that_does_not_fit_names_the_model_and_the_line(groups):
    with pytest.raises(ConfigError, match=r"a\.yaml:15: small: the budget is 16, but"):
        groups(GOOD.replace("budgets: [2, 3]", "budgets: [2, 16]"))


def test_draws_are_checked_against_each_other_and_only_where_their_number_is_known(
    groups, tmp_path
):
    assert len(groups(GOOD.replace("draws: [0, 1]", "draws: [0, 3]"))) == 8
    assert len(groups(GOOD.replace("draws: [0, 1]", "draws: 64"))) == 4
    text = tmp_path / "text.txt"
    text.write_text("once upon a time")
    own = GOOD.replace("ppl: {", f"ppl: {{data: {text}, ").replace("ppl:1,margin", "kl:1,margin")
    assert len(groups(own.replace("draws: [0, 1]", "draws: [0, 2]"))) == 8


@pytest.mark.parametrize("missing", ["models", "objectives", "searchers", "budgets"])
def test_what_is_missing_is_named(read, missing):
    data = {k: v for k, v in yaml.safe_load(GOOD).items() if k != missing}
    with pytest.raises(ConfigError, match=f"a.yaml: no {missing}; a study needs"):
        read(yaml.safe_dump(data))


def test_labels_that_would_share_a_file_are_refused(groups):
    with pytest.raises(ConfigError, match="kept under one file name"):
        groups(GOOD.replace("small:", "demo-qwen3:"))


def test_a_model_that_cannot_be_had_leaves_the_others_planned(groups):
    text = GOOD.replace("demo:qwen3:", "nobody/nothing:")
    unseen = [g for g in groups(text) if g.model == "nobody/nothing"]
    assert all(g.plan is None and "not in the local cache" in g.reason for g in unseen)
    assert len({c.id for g in unseen for c in g.cells}) == 4 * 8


def test_an_embedded_model_that_is_misspelt_is_offered(groups):
    for name, line in {"demoqwen3": 4, "qwen3": 4, "dmo:qwen3": 4}.items():
        with pytest.raises(ConfigError, match=rf"a\.yaml:{line}: .* Did you mean 'demo:qwen3'\?"):
            groups(GOOD.replace("demo:qwen3:", f"{name}:"))


@pytest.mark.parametrize(
    ("kind", "label", "line"), [("models", "..", 3), ("objectives", "/", 6), ("searchers", ".", 12)]
)
def test_a_label_that_gives_no_file_name_is_refused(groups, kind, label, line):
    old = {"models": "  small:", "objectives": "  ppl:", "searchers": "  one-shot:"}[kind]
    with pytest.raises(ConfigError, match=rf"a\.yaml:{line}: {kind}: expected a label with letter"):
        groups(GOOD.replace(old, f"  '{label}':"))


def test_labels_that_give_one_file_name_are_told_with_the_line_of_the_second(groups):
    same = "  one-shot: {searcher: one-shot}\n  one shot: {searcher: one-shot}"
    with pytest.raises(ConfigError, match=r"a\.yaml:13: .* would be kept under one file name"):
        groups(GOOD.replace("  one-shot:", same))


def test_a_label_that_is_too_long_for_a_file_is_told_with_its_line(groups):
    with pytest.raises(ConfigError, match=r"a\.yaml:3: .* 200 are possible; choose shorter lab"):
        groups(GOOD.replace("  small:", f"  {'long' * 50}:"))


@pytest.mark.parametrize("name", ["..", ".", "long" * 60])
def test_a_study_stays_in_a_folder_of_its_own(groups, name):
    with pytest.raises(ConfigError, match=r"a\.yaml:1: name: expected a word"):
        groups(GOOD.replace("name: mine", f"name: {name}"))


def test_draws_that_hold_more_than_the_data_are_a_matter_of_their_size(groups):
    """When the data are read, it is told how much there is."""
    assert groups(GOOD.replace("samples: 4}", "samples: 99999}"))


@pytest.mark.parametrize(
    ("pattern", "cells"),
    [
        ("objective=ppl", 32),
        ("objective=ppl,draw=1", 16),
        ("searcher=*-*,budget=2", 2 * 2 * 4),
        ("model=demo:*,seed=5", 8),
        ("small_ppl_genetic_k3_s5_d1", 1),
        ("genetic", 32),
    ],
)
def test_only_chooses_cells(groups, pattern, cells):
    chosen = select(groups(GOOD), pattern)
    assert sum(len(group.cells) for group in chosen) == cells
    assert all(group.cells for group in chosen)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("objectiv=ppl", "no such coordinate. Did you mean 'objective'"),
        ("objective=pl", "matches no cell of this study. It has model: small, demo:qwen3;"),
        ("objective=", "expected COORDINATE=VALUE"),
        ("", "expected COORDINATE=VALUE"),
    ],
)
def test_a_pattern_that_chooses_nothing_is_told(groups, pattern, message):
    with pytest.raises(ConfigError) as error:
        select(groups(GOOD), pattern)
    assert message in str(error.value)


def test_blocks_are_protected_for_all_models_or_for_one(read, registry):
    text = GOOD.replace("dtype: float32", 'dtype: float32, protect: "3"') + 'protect: "2,5"\n'
    groups = plan_study(read(text), registry)
    protected = {g.model: g.plans[g.cells[0]].problem.protected - {15} for g in groups}
    assert protected["small"] == {3}
    assert protected["demo:qwen3"] == {2, 5}
