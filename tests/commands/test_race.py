"""`--race-deviations`: what a search spares, and what it says of it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

import prunekit
from prunekit.core import ConfigError


@pytest.fixture
def racing(quick):
    """The arguments of a search with samples enough for four looks."""
    return {**quick, "ppl": {"data": "demo", "samples": 16, "length": 16}, "finalists": 0}


def known(workdir):
    """What the journals hold, by subset and span."""
    rows = [
        json.loads(line)
        for path in workdir.glob("journals/*/*.jsonl")
        for line in path.read_text().splitlines()[1:]
    ]
    return {(tuple(row["removed"]), tuple(row["samples"])): row["sums"] for row in rows}


def comparable(result):
    return replace(result, work=None, run="", versions={})


def test_a_race_spares_evaluations_and_says_so(racing):
    result = prunekit.search(race_deviations=2, **racing)
    race = result.race
    assert (race.deviations, race.looks, race.evaluations) == (2.0, 3, (8 + 7 + 6) * 16)
    assert race.chance == pytest.approx(math.erfc(2 / math.sqrt(2)) / 2)
    measured = sum(last - first for removed, (first, last) in known(racing["workdir"]) if removed)
    assert 0 < race.spared == race.evaluations - measured
    assert result.stability is None
    assert result.work.asked == 8 + 7 + 6


def test_the_same_command_chooses_the_same_whatever_was_measured_before(racing, tmp_path):
    first = prunekit.search(race_deviations=2, **racing)
    raced = known(racing["workdir"])
    again = prunekit.search(race_deviations=2, **racing)
    assert comparable(again) == comparable(first)
    assert known(racing["workdir"]) == raced

    (segment,) = racing["workdir"].glob("journals/*/*.jsonl")
    lines = segment.read_text().splitlines(keepends=True)
    segment.write_text("".join(lines[: len(lines) // 2]))
    assert comparable(prunekit.search(race_deviations=2, **racing)) == comparable(first)
    assert known(racing["workdir"]) == raced

    full = {**racing, "workdir": tmp_path / "full"}
    exact = prunekit.search(**full)
    everything = known(full["workdir"])
    assert comparable(prunekit.search(race_deviations=2, **full)) == comparable(first)
    assert exact.race is None
    assert exact.removed == first.removed
    assert {subset for subset, _ in raced} <= {subset for subset, _ in everything}


def test_without_a_race_the_same_run_is_found_and_batches_are_as_before(racing):
    plain = prunekit.search(**racing)
    assert prunekit.search(race_deviations=0, **racing).run == plain.run
    assert "race" not in Path(plain.run, "config.yaml").read_text()
    assert {span for _, span in known(racing["workdir"])} == {(0, 16)}


def test_too_few_samples_are_measured_in_full(quick):
    result = prunekit.search(race_deviations=2, **quick)
    assert (result.race.looks, result.race.spared) == (0, 0)


def test_a_threshold_below_zero_is_refused(quick):
    with pytest.raises(ConfigError, match=r"race_deviations: -1\.0 is outside 0\.\."):
        prunekit.search(race_deviations=-1, **quick)


def test_the_command_and_show_print_it_and_a_dry_run_counts_at_most(prunekit, tiny_model):
    words = ("--model", tiny_model("llama3", n_blocks=8), "--budget", 2, "--ppl.data", "demo")
    words += ("--ppl.samples", 16, "--ppl.length", 16, "--race-deviations", 2)
    _, out, _ = prunekit("search", *words, "--dry-run")
    assert "runs at most " in out
    assert "takes at most about " in out
    status, out, err = prunekit("search", *words, "--finalists", 0)
    assert status == 0, err
    said = " evaluations of a sample; at 2 deviations, each of up to 3 looks drops a true winner"
    assert said in out
    (run,) = Path("prunekit-runs/runs").iterdir()
    assert said in prunekit("show", run)[1]
