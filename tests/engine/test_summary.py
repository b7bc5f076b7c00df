"""Results show themselves in Python: in short, in a notebook, and as data frames."""

import re

import pandas as pd
import pytest

import prunekit

DEMO = "demo"
QUICK = {"ppl": {"samples": 4, "length": 16}}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def found(workdir):
    return prunekit.search(DEMO, searcher="one-shot", budget=3, workdir=workdir, **QUICK)


def test_a_search_shows_its_blocks_and_losses(found):
    lines = repr(found).splitlines()
    removed = ",".join(map(str, found.removed))
    assert lines[0] == f"SearchResult: demo:qwen3 without {removed}, one-shot on ppl"
    assert [i for i, mark in enumerate(lines[1]) if mark == "·"] == list(found.removed)
    assert len(lines[1]) == 16
    assert f"{found.dense.loss:.4f} dense, {found.pruned.loss:.4f} pruned" in lines[2]
    assert max(len(line) for line in lines if found.run not in line) <= 88


def test_a_notebook_draws_the_blocks(found):
    page = found._repr_html_()
    kinds = re.findall(r"block (\d+), (kept|removed)", page)
    assert [int(i) for i, kind in kinds if kind == "removed"] == list(found.removed)
    assert len(kinds) == 16


def test_nothing_that_a_result_holds_is_markup():
    from dataclasses import replace

    result = replace(prunekit_result(), model="<script>alert(1)</script>")
    assert "<script>" not in result._repr_html_()


def prunekit_result():
    from prunekit.plugins.commands.evaluate.comparison import EvaluationResult

    return EvaluationResult("model", (2,), {}, {}, {}, {})


def test_the_frame_of_a_search_is_that_of_its_finalists(found):
    frame = found.to_frame()
    assert list(frame["removed"]) == [f.removed for f in found.held_out.finalists]
    assert list(frame["behind.value"]) == [f.behind.value for f in found.held_out.finalists]


@pytest.mark.parametrize(
    ("make", "rows", "column"),
    [
        (
            lambda w: prunekit.curve(DEMO, searcher="one-shot", budget=2, workdir=w, **QUICK),
            3,
            "loss",
        ),
        (
            lambda w: prunekit.evaluate(DEMO, remove=[2], tasks="demo", limit=8, workdir=w),
            1,
            "pruned",
        ),
        (
            lambda w: prunekit.latency(
                DEMO, remove=[2], prompt_length=8, new_tokens=2, repeats=1, workdir=w
            ),
            2,
            "decode.median",
        ),
        (
            lambda w: prunekit.certify(
                DEMO, remove=[2], new_tokens=4, samples=1, exercises=2, ppl_samples=2, workdir=w
            ),
            14,
            "verdict",
        ),
        (
            lambda w: prunekit.draft(DEMO, remove=[5], new_tokens=4, repeats=1, workdir=w),
            1,
            "best.speedup",
        ),
        (
            lambda w: prunekit.study(
                {
                    "name": "small",
                    "models": [DEMO],
                    "objectives": {"ppl": {"samples": 2, "length": 16}},
                    "searchers": ["one-shot", "greedy"],
                    "budgets": [1],
                },
                workdir=w,
            ),
            2,
            "difference",
        ),
    ],
    ids=["curve", "evaluate", "latency", "certify", "draft", "study"],
)
def test_every_result_has_a_frame_and_shows_itself(make, rows, column, workdir):
    result = make(workdir)
    frame = result.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == rows
    assert frame[column].notna().all()
    assert repr(result).startswith(type(result).__name__ + ": ")
    assert 20 < len(result._repr_html_()) < 20_000


def test_a_text_and_a_task_of_the_same_name_are_both_shown(workdir):
    found = prunekit.evaluate(DEMO, remove=[2], ppl="demo", tasks="demo", limit=8, workdir=workdir)
    names = [line.split("  ")[0] for line in repr(found).splitlines()[1:]]
    assert names == ["perplexity demo", "acc_norm demo"]


def test_a_study_is_loaded_by_its_name_or_its_folder(workdir):
    by_name = prunekit.load_study("small", workdir=workdir)
    by_folder = prunekit.load_study(workdir / "studies" / "small")
    assert by_name.runs.equals(by_folder.runs)
    assert list(by_name.runs["searcher"]) == ["one-shot", "greedy"]
    assert set(by_name.means.columns) >= {"objective", "searcher", "difference", "difference ±"}


def test_a_study_that_is_not_there_offers_the_nearest(workdir):
    from prunekit.core import ConfigError

    with pytest.raises(ConfigError, match="smal: no such study; did you mean small?"):
        prunekit.load_study("smal", workdir=workdir)
