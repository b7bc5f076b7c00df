"""How many processes a study takes by itself."""

from pathlib import Path

import pytest

from prunekit.core.registry import load
from prunekit.plugins.commands.study import jobs
from prunekit.plugins.commands.study.config import parse_study
from prunekit.plugins.commands.study.run import jobs_of, plan


@pytest.fixture
def machine(monkeypatch):
    """Pretend that there are so many cores, and so much memory, on a machine with such devices."""
    import torch

    def pretend(cores=4, free=10**12, gpus=0):
        monkeypatch.setattr(jobs, "cores", lambda: cores)
        monkeypatch.setattr(jobs, "free_bytes", lambda: free)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)

    pretend()
    return pretend


@pytest.fixture
def jobs_for(small, tmp_path):
    """The jobs of the small study with changes; it has two groups for each draw."""

    def count(**changes):
        config = parse_study({**small, **changes}, load(), Path())
        return jobs_of(plan(config, tmp_path, changes.get("only")))

    return count


def test_there_are_as_many_as_cores_and_groups(jobs_for, machine):
    assert jobs_for(draws=[0, 1, 2]) == 4
    assert jobs_for() == 2
    machine(cores=1)
    assert jobs_for() == 1


def test_each_needs_the_memory_of_a_model(jobs_for, machine):
    one = jobs.PROCESS_BYTES + 10**8  # a tiny model's weights and states are less than that
    machine(free=3 * one)
    assert jobs_for(draws=[0, 1, 2]) == 3
    machine(free=one // 2)
    assert jobs_for() == 1


def test_a_big_model_takes_more(jobs_for, machine):
    shape = Path(__file__).parents[3] / "examples" / "configs" / "qwen3-8b"
    big = {"big": {"model": "nobody/nothing", "config": str(shape), "dtype": "bfloat16"}}
    machine(free=100 * 10**9)
    assert jobs_for(models=big, draws=[0, 1]) == 2  # of 33 GB each in 32 bits, and their states


def test_groups_that_share_a_journal_are_one(jobs_for, small, machine):
    mix = {"objective": "mix", "parts": "ppl:1,kl:1", **small["objectives"]}
    assert jobs_for(objectives={**small["objectives"], "both": mix}) == 1


def test_a_gpu_another_backend_and_a_model_unseen_have_one(jobs_for, small, machine):
    assert jobs_for(backend="ray") == 1
    assert jobs_for(models=["nobody/nothing"]) == 1
    machine(gpus=2)
    assert jobs_for() == 1
    assert jobs_for(device="cpu") == 2


def test_cores_are_those_that_this_process_may_use():
    assert jobs.cores() >= 1
