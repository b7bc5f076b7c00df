"""Two models on the same items: what is tested, what is printed, and what older files lack."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import binomtest

import prunekit
from prunekit.core.measurement import Measurement
from prunekit.engine.paired import mcnemar, normal_p
from prunekit.plugins.commands.evaluate.comparison import (
    cannot_be_told_apart,
    perplexity_rows,
    task_rows,
)
from prunekit.plugins.commands.evaluate.printing import alike_rows
from prunekit.plugins.commands.evaluate.scores import Evaluation, PerplexityScore, TaskScore
from prunekit.plugins.commands.evaluate.store import read_record, rows_of

RIGHT_DENSE = (1.0,) * 30 + (0.0,) * 10
RIGHT_PRUNED = (1.0,) * 18 + (0.0,) * 12 + (1.0,) * 3 + (0.0,) * 7


def task(items, name="piqa", **record):
    return TaskScore(name, "acc", sum(items) / len(items), True, items, {"metrics": {}, **record})


def compared(**pairs):
    """Compare items by task: `compared(piqa=(dense, pruned))`."""
    models = {
        who: Evaluation((), tasks={name: task(of[i], name) for name, of in pairs.items()})
        for i, who in enumerate(("dense", "pruned"))
    }
    return list(task_rows(models).values())


def test_right_and_wrong_items_are_tested_by_mcnemar():
    (row,) = compared(piqa=(RIGHT_DENSE, RIGHT_PRUNED))
    assert row.p == binomtest(3, 15).pvalue == pytest.approx(0.03515625)
    low, high = row.interval
    assert low < row.difference == 21 / 40 - 30 / 40 < high


def test_scores_between_right_and_wrong_are_tested_by_their_error():
    (row,) = compared(f1=((0.5, 0.7, 0.9, 0.4), (0.4, 0.7, 0.6, 0.3)))
    assert row.p == normal_p(row.difference, row.standard_error)


def test_a_perplexity_has_an_interval_and_other_tokens_have_none():
    def score(sums, digest):
        return PerplexityScore("c4", Measurement(sums, (10.0,) * 4), {"digest": digest})

    dense, pruned = (20.0, 22.0, 24.0, 21.0), (21.0, 24.0, 25.0, 23.0)
    models = {"dense": Evaluation((), {"c4": score(dense, "a")})}
    same = {**models, "pruned": Evaluation((1,), {"c4": score(pruned, "a")})}
    other = {**models, "pruned": Evaluation((1,), {"c4": score(pruned, "b")})}
    row = perplexity_rows(same)["c4"]
    assert row.interval[0] < row.difference < row.interval[1]
    assert row.p == normal_p(row.difference, row.standard_error) < 0.05
    assert perplexity_rows(other)["c4"].p is perplexity_rows(other)["c4"].interval is None


def test_what_cannot_be_told_apart_is_said_and_corrected_for_all_that_were_looked_at():
    """p = 0.035 tells two models apart alone, and not as the smaller of two."""
    one = compared(piqa=(RIGHT_DENSE, RIGHT_PRUNED))
    assert cannot_be_told_apart(one) == []
    assert alike_rows(one) == ""
    both = compared(piqa=(RIGHT_DENSE, RIGHT_PRUNED), boolq=(RIGHT_DENSE, RIGHT_DENSE))
    assert cannot_be_told_apart(both) == both
    assert alike_rows(both) == (
        "Cannot be told apart at 5% (Holm, 2 comparisons): piqa acc, boolq acc"
    )


def test_the_mean_over_tasks_is_judged_by_itself():
    tasks = compared(piqa=(RIGHT_DENSE, RIGHT_PRUNED), boolq=(RIGHT_DENSE, RIGHT_PRUNED))
    mean = replace(tasks[0], name="mean of 2 tasks", metric="mean")
    assert alike_rows([*tasks, mean]) == alike_rows(tasks)
    alike = replace(mean, difference=0.01, standard_error=0.02)
    assert alike_rows([*tasks, alike]).endswith("piqa acc, boolq acc, mean of 2 tasks")


@pytest.fixture
def evaluated(quick):
    run = prunekit.search(searcher="one-shot", **quick).run
    given = {"workdir": quick["workdir"], "tasks": "demo", "limit": 8, "ppl": "demo"}
    return run, lambda: prunekit.evaluate(run=run, ppl_samples=3, **given), quick["workdir"]


def test_the_items_of_both_models_are_kept_and_compared(evaluated):
    _, again, workdir = evaluated
    result = again()
    stored = [json.loads(path.read_text()) for path in Path(workdir).glob("evaluations/*/*/*.json")]
    items = {bool(row["removed"]): row["items"] for row in stored if "items" in row}
    pairs = list(zip(items[True], items[False], strict=True))
    counts = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
    assert result.tasks["demo"].p == mcnemar(*counts)
    assert result.tasks["demo"].record["chance"] == 0.25


def test_a_record_of_an_older_version_is_read_and_completed(evaluated):
    run, again, _ = evaluated
    result = again()
    path = Path(run, "evaluation.json")
    record = json.loads(path.read_text())
    for part in ("perplexities", "tasks"):
        for row in record[part]["demo"]:
            del row["p"], row["interval"], row["log_ratio"]
            row["record"].pop("chance", None)
    path.write_text(json.dumps(record))
    assert {row.p for row in rows_of(read_record(Path(run)))} == {None}
    again()
    (task,) = read_record(Path(run))["tasks"]["demo"]
    assert task["p"] == result.tasks["demo"].p
