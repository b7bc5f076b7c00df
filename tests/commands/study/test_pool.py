"""Several processes at once: their shares of the machine, and what their deaths cost."""

import prunekit
from prunekit.plugins.commands.study.pool import share_of

DEADLY = """
import os
from prunekit.core import hookimpl

class Deadly:
    "Kills the first process that finds the file."

    name = "deadly"

    def search(self, problem):
        yield [frozenset({{1}})]
        try:
            os.remove({flag!r})
        except FileNotFoundError:
            return frozenset(range(problem.budget))
        os._exit(9)

@hookimpl
def prunekit_searchers():
    return [Deadly]
"""


def test_a_process_that_dies_costs_its_group_alone(small, tmp_path, install):
    flag = tmp_path / "flag"
    install("prunekit-deadly", DEADLY.format(flag=str(flag)))
    given = {**small, "searchers": ["deadly"], "draws": [0, 1], "seeds": 0}
    flag.touch()
    outcome = prunekit.study(given, jobs=2, workdir=tmp_path)
    (failure,) = outcome.failures
    assert "its process ended with status 9" in failure.error
    assert len(outcome.results) == 3
    assert len(prunekit.study(given, workdir=tmp_path).results) == 4


def test_processes_divide_threads_and_gpus(monkeypatch):
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert share_of(0, 3) == {"OMP_NUM_THREADS": "2"}
    assert share_of(0, 20) == {"OMP_NUM_THREADS": "1"}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus = [share_of(number, 3)["CUDA_VISIBLE_DEVICES"] for number in range(3)]
    assert gpus == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert share_of(1, 2)["CUDA_VISIBLE_DEVICES"] == "6"
