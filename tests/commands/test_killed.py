"""Every searcher, killed at several moments and started again."""

import dataclasses
import json
import multiprocessing
import signal

import pytest

import prunekit
from prunekit.core.registry import load
from prunekit.hf.decoder import DecoderAdapter

pytestmark = pytest.mark.usefixtures("repeated_seldom")
RUNS = {e.name: {} for e in load().entries if e.kind == "searcher" and e.source == "prunekit"}
RUNS["bayesian"] = {"bayesian": {"trials": 20}}
RUNS["genetic"] = {"genetic": {"generations": 2}}
RUNS["cbo"] = {"cbo": {"hessian": "exact", "first_order": 1.0}}
KILLED = """
import os, signal
import prunekit
from prunekit.engine import cache
from prunekit.hf.decoder import DecoderAdapter

cache.SECONDS_BETWEEN_WRITES = 0
block = DecoderAdapter.block

def or_die(self, index, state):
    global moment
    moment -= 1
    if not moment:
        os.kill(os.getpid(), signal.SIGKILL)
    return block(self, index, state)

DecoderAdapter.block = or_die
prunekit.search(**given)
"""


@pytest.fixture(scope="module")
def processes():
    """Processes that have all that is slow to import already."""
    made = multiprocessing.get_context("forkserver")
    slow = ["torch", "transformers.models.llama.modeling_llama", "datasets", "scipy", "sklearn"]
    made.set_forkserver_preload(["prunekit.plugins.commands.search.search", *slow])
    return made


@pytest.fixture
def blocks_run(monkeypatch):
    """Which blocks were run so far, the proof on load included."""
    block, run = DecoderAdapter.block, []

    def noted(self, index, state):
        run.append(index)
        return block(self, index, state)

    monkeypatch.setattr(DecoderAdapter, "block", noted)
    return run


def tear(workdir):
    """End every journal in the middle of a line, as a kill may."""
    for path in workdir.glob("journals/*/*.jsonl"):
        with path.open("a") as file:
            file.write('{"removed": [1, 2')


def measured(workdir):
    """What the journals hold: blocks and samples, but for the line that was torn."""
    for path in workdir.glob("journals/*/*.jsonl"):
        for line in path.read_text().splitlines()[1:]:
            if line.endswith("}"):
                row = json.loads(line)
                yield tuple(row["removed"]), tuple(row["samples"])


@pytest.mark.parametrize("searcher", RUNS)
def test_it_ends_with_the_identical_result_and_measures_nothing_twice(
    quick, tmp_path, processes, blocks_run, searcher
):
    given = {**quick, **RUNS[searcher], "searcher": searcher}
    expected = prunekit.search(**{**given, "workdir": tmp_path / "whole"})
    for part in (0.5, 0.45):  # of the work of the whole; the second goes on from the first
        moment = int(part * len(blocks_run))
        child = processes.Process(target=exec, args=(KILLED, {"given": given, "moment": moment}))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        tear(quick["workdir"])
    result = prunekit.search(**given)
    assert dataclasses.replace(result, work=None, run="") == dataclasses.replace(
        expected, work=None, run=""
    )
    assert result.work.asked == expected.work.asked
    assert result.work.measured == expected.work.measured
    assert result.work.block_runs >= expected.work.block_runs > 0 or not expected.work.measured
    found = list(measured(quick["workdir"]))
    assert len(found) == len(set(found))
