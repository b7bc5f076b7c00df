"""A comparison that is killed goes on, and what is kept of it is checked when it is read."""

import json
import os
import signal
import subprocess
import sys

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.core.errors import Interrupted
from prunekit.plugins.commands.draft import texts

KILLED = """
import json, os, signal, sys
import prunekit
from prunekit.plugins.commands.draft import bench, texts

given, last = json.loads(sys.argv[1])
write, written = texts.write, []

def or_die(*words, **more):
    written.append(1)
    if len(written) == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return write(*words, **more)

texts.write = bench.write = or_die
prunekit.draft(**given)
"""


def plain(result):
    """What does not depend on the clock."""
    drafted = result.drafted
    return (
        [(c.removed, c.agreement, [a.predicted for a in c.ahead]) for c in result.candidates],
        drafted.tokens,
    )


@pytest.fixture
def counted(monkeypatch):
    """The texts that are written from here on."""
    written, write = [], texts.write

    def noted(*words, **more):
        written.append(1)
        return write(*words, **more)

    monkeypatch.setattr(texts, "write", noted)
    monkeypatch.setattr("prunekit.plugins.commands.draft.bench.write", noted)
    return written


def test_killed_it_writes_only_what_is_missing(quick, counted, tmp_path):
    """It writes 3 texts alone, then 3 twice by turns, and dies before the second of these."""
    given = {**quick, "workdir": str(quick["workdir"]), "remove": [2], "lookahead": "2"}
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, json.dumps([given, 6])], check=False, env=environment
    )
    assert killed.returncode == -signal.SIGKILL
    found = prunekit.draft(**given)
    assert len(counted) == 4
    assert plain(found) == plain(prunekit.draft(**{**given, "workdir": tmp_path / "other"}))


def test_repeated_it_measures_nothing(searched, counted):
    first = prunekit.draft(**searched)
    counted.clear()
    again = prunekit.draft(**searched)
    assert counted == []
    assert again == first


def test_stopped_by_the_user(searched):
    def stop(step):
        if step.what.startswith("writing"):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="run the same command again to go on"):
        prunekit.draft(**searched, progress=stop)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("dense/texts.json", {"tokens": [10**6], "seconds": 1.0}),
        ("dense/texts.json", {"tokens": [], "seconds": 1.0}),
        ("dense/texts.json", {"tokens": "1"}),
        ("2/right.json", {"at": [True]}),
        ("2/steps.json", {"dense": [], "draft": []}),
        ("2/steps.json", {"dense": [1.0], "draft": [0.0]}),
        ("2/assisted-2-in-memory.json", {"tokens": 1, "forwards": 0, "seconds": 1.0}),
    ],
)
def test_a_damaged_file_costs_one_line(quick, name, row):
    given = {**quick, "remove": [2], "lookahead": "2"}
    result = prunekit.draft(**given)
    path = os.path.join(result.folder, name)
    with open(path) as file:
        stored = json.load(file)
    stored["rows"][0] = row
    with open(path, "w") as file:
        json.dump(stored, file)
    with pytest.raises(ConfigError, match="remove it and run the command again") as error:
        prunekit.draft(**given)
    assert "\n" not in str(error.value)
