"""A study that is killed again and again ends with the files of one that was not."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import yaml

import prunekit

KILLS = 10


def run(given, workdir):
    """In a process that shares what is imported here, but has one thread only."""
    import torch

    from prunekit.engine import cache

    torch.set_num_threads(1)
    cache.SECONDS_BETWEEN_WRITES = 0
    os._exit(len(prunekit.study(given, workdir=workdir).failures))


@pytest.fixture
def start(small, evaluate):
    given = {**small, "evaluate": evaluate}

    def start(workdir):
        process = multiprocessing.get_context("fork").Process(target=run, args=(given, workdir))
        process.start()
        return process

    return start


def test_killed_at_random_it_ends_with_the_same_files(start, tmp_path, files):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    began = time.monotonic()
    process = start(whole)
    process.join()
    assert process.exitcode == 0
    assert len(list(whole.glob("studies/small/evaluations/tiny/*.json"))) > 2
    lasted = time.monotonic() - began
    chance = random.Random(0)
    ends = []
    for _ in range(KILLS):
        process = start(killed)
        process.join(timeout=chance.uniform(0.02, 0.2) * lasted)
        process.kill()
        process.join()
        ends.append(process.exitcode)
        for path in killed.glob("studies/small/*/**/*.json"):
            json.loads(path.read_text())  # whole, or not there
    assert ends.count(-signal.SIGKILL) > KILLS / 2
    process = start(killed)
    process.join()
    assert process.exitcode == 0
    assert files(killed / "studies" / "small") == files(whole / "studies" / "small")
    assert sorted(set(pieces_of(killed))) == sorted(pieces_of(whole))


def test_the_command_with_two_processes_is_killed_and_stopped_and_ends_with_the_same_files(
    small, evaluate, start, tmp_path, files
):
    start(tmp_path / "whole").join()
    config = yaml.safe_dump({**small, "evaluate": evaluate}, sort_keys=False)
    (tmp_path / "small.yaml").write_text(config)
    command = [sys.executable, "-m", "prunekit", "study", "small.yaml", "--jobs", "2", "--quiet"]

    def begin():
        return subprocess.Popen(
            command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def stop_when_there_is(pattern, how):
        """Tell the whole group, as `timeout` and schedulers do."""
        process = begin()
        while not list(tmp_path.glob(f"prunekit-runs/{pattern}")):
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, how)
        return process.communicate(timeout=300)[1], process.returncode

    assert stop_when_there_is("journals/*/*.jsonl", signal.SIGKILL) == ("", -signal.SIGKILL)
    said, status = stop_when_there_is("studies/small/cells/*.json", signal.SIGTERM)
    assert status == 128 + signal.SIGTERM
    assert said.startswith("stopped. ")
    assert len(said.splitlines()) == 1
    process = begin()
    assert process.communicate(timeout=300)[1] == ""
    assert process.returncode == 0
    studies = [tmp_path / place / "studies" / "small" for place in ("prunekit-runs", "whole")]
    assert files(studies[0]) == files(studies[1])


def pieces_of(workdir):
    return [
        (path.parent.name, line)
        for path in workdir.glob("journals/*/*.jsonl")
        for line in path.read_text().split("\n")[1:-1]
    ]
