"""What a search cost stays true, whoever shares it and whatever cannot be written."""

import json
from pathlib import Path

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.core.errors import StorageError
from prunekit.hf.prefix import PrefixMeter


@pytest.fixture
def fails(monkeypatch):
    """`fails(n)`: writes of the record of what was spent fail, from the n-th on, `times` times."""
    import prunekit.engine.account as account

    write = account.write_text

    def fail(first, times=10**6):
        calls = iter(range(10**6))

        def write_or_fail(path, text):
            if first <= next(calls) < first + times:
                raise StorageError(f"cannot write {path}")
            write(path, text)

        monkeypatch.setattr(account, "write_text", write_or_fail)

    return fail


@pytest.mark.parametrize(("first", "times"), [(0, 1), (1, 1), (0, 10**6), (2, 10**6)])
def test_a_record_that_cannot_be_written_loses_no_search_and_no_count(
    quick, monkeypatch, fails, first, times
):
    whole = prunekit.search(**{**quick, "workdir": quick["workdir"] / "whole"}, searcher="greedy")
    monkeypatch.setattr("prunekit.engine.cache.SECONDS_BETWEEN_WRITES", 0.0)
    fails(first, times)
    result = prunekit.search(**quick, searcher="greedy")
    assert result.removed == whole.removed
    counts = result.work.asked, result.work.measured, result.work.block_runs
    assert counts == (whole.work.asked, whole.work.measured, whole.work.block_runs)
    monkeypatch.undo()
    assert prunekit.search(**quick, searcher="greedy") == result


def test_a_process_that_shares_a_run_measures_only_what_the_other_did_not(quick, monkeypatch):
    """The other runs the same search to its end before this one's first request."""
    from prunekit.engine.run import SearchRun

    start, results = SearchRun.start, []

    def overtaken(self, *given):
        monkeypatch.setattr(SearchRun, "start", start)
        results.append(prunekit.search(**quick, searcher="greedy"))
        return start(self, *given)

    monkeypatch.setattr(SearchRun, "start", overtaken)
    last = prunekit.search(**quick, searcher="greedy")
    (first,) = results
    assert last.work.measured == first.work.measured > 0
    assert last.work.block_runs == first.work.block_runs
    assert last.work.block_runs_alone - last.work.block_runs > 0
    journals = quick["workdir"].glob("journals/*/*.jsonl")
    lines = [json.loads(line) for path in journals for line in path.read_text().splitlines()]
    pieces = [(str(row["removed"]), str(row["samples"])) for row in lines if "removed" in row]
    assert len(pieces) == len(set(pieces))


def test_two_processes_that_measure_the_same_are_both_counted(quick, prunekit, monkeypatch):
    """Each begins to measure before the other has written."""
    import prunekit as package

    measure, inner = PrefixMeter.measure, []

    def meanwhile(self, wanted):
        if not inner and any(len(subset) for subsets in wanted for subset in subsets):
            inner.append(None)
            inner[0] = package.search(**quick, searcher="one-shot")
        yield from measure(self, wanted)

    monkeypatch.setattr(PrefixMeter, "measure", meanwhile)
    words = ["--searcher", "one-shot", "-k", 3, "--workdir", quick["workdir"]]
    options = [f"--ppl.{key}={value}" for key, value in quick["ppl"].items()]
    status, out, _ = prunekit("search", "--model", quick["model"], *words, *options)
    assert status == 0
    (alone,) = inner
    (run,) = quick["workdir"].glob("runs/*/result.json")
    work = json.loads(run.read_text())["work"]
    assert work["measured"] == 2 * alone.work.measured == 16
    assert work["block_runs"] == 2 * alone.work.block_runs
    more = work["block_runs"] - work["block_runs_alone"]
    assert more > 0
    assert f"{more} more than one by one: several processes measured the same" in out
    assert "saved" not in out


@pytest.mark.parametrize("value", ["3", True, -1, None, 1.5])
def test_a_record_that_holds_no_count_is_named(quick, value):
    result = prunekit.search(**quick, searcher="one-shot")
    (record,) = Path(result.run, "work").iterdir()
    record.write_text(json.dumps({**json.loads(record.read_text()), "measured": value}))
    with pytest.raises(ConfigError, match=f"{record.name}: .* remove it, and what it held"):
        prunekit.search(**quick, searcher="one-shot")
