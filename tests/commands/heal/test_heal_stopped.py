"""A training that is killed, or that runs out of disk, goes on and ends with the same weights."""

import errno
import json
import pickle
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from prunekit.core.errors import Interrupted, StorageError
from prunekit.plugins.commands.heal import trainer
from prunekit.plugins.commands.heal.checkpoints import WHOLE, checkpoints_in, is_whole, mark_whole
from prunekit.plugins.commands.heal.heal import heal


def weights_of(folder):
    return load_file(folder / "model.safetensors")


def alike(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def unbroken(quick, tmp_path):
    """The weights of a training that is not stopped: `unbroken(full=True)`."""

    def make(**more):
        heal(**{**quick, "workdir": tmp_path / "other"}, **more, to=tmp_path / "unbroken")
        return weights_of(tmp_path / "unbroken")

    return make


def checkpoints_of(quick):
    (folder,) = (quick["workdir"] / "heals").glob("*/checkpoints")
    return checkpoints_in(folder)


KILLED = """
import json, os, signal, sys
from prunekit.plugins.commands.heal import trainer
from prunekit.plugins.commands.heal.heal import heal

given, to, step = json.loads(sys.argv[1])
save = trainer.Healer._save_optimizer_and_scheduler

def or_die(self, folder):
    save(self, folder)
    if self.state.global_step == step:
        os.kill(os.getpid(), signal.SIGKILL)

trainer.Healer._save_optimizer_and_scheduler = or_die
heal(**given, to=to)
"""


@pytest.mark.parametrize(
    ("method", "step"), [({}, 2), ({}, 6), ({"last": 1}, 6), ({"full": True}, 6)]
)
def test_killed_in_the_middle_of_a_checkpoint(quick, unbroken, method, step, tmp_path):
    given = {**quick, **method, "workdir": str(quick["workdir"])}
    arguments = json.dumps([given, str(tmp_path / "healed"), step])
    killed = subprocess.run([sys.executable, "-c", KILLED, arguments], check=False)
    assert killed.returncode == -signal.SIGKILL
    last = checkpoints_of(quick)[-1]
    assert last.name == f"checkpoint-{step}"
    assert not is_whole(last)
    heal(**quick, **method, to=tmp_path / "healed")
    assert alike(weights_of(tmp_path / "healed"), unbroken(**method))


def test_stopped_by_the_user(quick, unbroken, tmp_path):
    def stop(step):
        if step.what == "healing" and step.done >= step.total // 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="the same command goes on from the last checkpoint in"):
        heal(**quick, progress=stop, to=tmp_path / "healed")
    heal(**quick, to=tmp_path / "healed")
    assert alike(weights_of(tmp_path / "healed"), unbroken())


def test_killed_after_the_training_it_only_writes(quick, monkeypatch, tmp_path):
    def killed(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("prunekit.plugins.commands.heal.heal.write_healed", killed)
    with pytest.raises(Interrupted):
        heal(**quick, to=tmp_path / "healed")
    monkeypatch.undo()
    before = time.time()
    monkeypatch.setattr(trainer.Healer, "training_step", killed)
    heal(**quick, to=tmp_path / "healed")
    assert all(path.stat().st_mtime < before for path in checkpoints_of(quick))


@pytest.mark.parametrize("full", [trainer.save_trained, torch.save])
def test_a_full_disk_in_the_middle_of_a_checkpoint(quick, unbroken, full, monkeypatch, tmp_path):
    """Torch reports it as an error of its own."""
    times = []

    def no_room(*given, **more):
        times.append(1)
        if len(times) == 5:
            error = OSError(errno.ENOSPC, "No space left on device")
            raise error if full is trainer.save_trained else RuntimeError("unexpected pos 0 vs 64")
        return full(*given, **more)

    place = trainer if full is trainer.save_trained else torch
    monkeypatch.setattr(place, full.__name__.removeprefix("torch."), no_room)
    with pytest.raises(StorageError, match="cannot write .*checkpoint-.*once there is room") as f:
        heal(**quick, to=tmp_path / "healed")
    assert "\n" not in str(f.value)
    assert all(map(is_whole, checkpoints_of(quick)))
    monkeypatch.undo()
    heal(**quick, to=tmp_path / "healed")
    assert alike(weights_of(tmp_path / "healed"), unbroken())


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", ["optimizer.pt", "rng_state.pth", "scheduler.pt"])
def test_nothing_runs_because_a_checkpoint_says_so(quick, name, tmp_path):
    def stop(step):
        if step.what == "healing" and step.done >= step.total // 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        heal(**quick, progress=stop, to=tmp_path / "healed")
    last = checkpoints_of(quick)[-1]
    with (last / name).open("wb") as file:
        pickle.dump(Evil(tmp_path / "evil"), file)
    mark_whole(last)
    with pytest.raises(StorageError, match="cannot be read back .*; remove it"):
        heal(**quick, to=tmp_path / "healed")
    assert not (tmp_path / "evil").exists()


@pytest.fixture
def half_done(quick, tmp_path):
    """A training that was stopped, and its last checkpoint."""

    def stop(step):
        if step.what == "healing" and step.done >= step.total * 3 // 4:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        heal(**quick, progress=stop, to=tmp_path / "healed")
    return checkpoints_of(quick)[-1]


FILES = ["trained.safetensors", "trainer_state.json", "optimizer.pt", "scheduler.pt", WHOLE]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("missing", [True, False])
def test_without_a_file_of_the_last_checkpoint_the_one_before_counts(
    quick, half_done, unbroken, name, missing, tmp_path
):
    if missing:
        (half_done / name).unlink()
    else:
        (half_done / name).write_bytes((half_done / name).read_bytes()[:-3])
    heal(**quick, to=tmp_path / "healed")
    assert alike(weights_of(tmp_path / "healed"), unbroken())


@pytest.mark.parametrize(
    "content",
    [
        b"half",
        b"[]",
        b'{"global_step": "x", "log_history": []}',
        b'{"global_step": 1, "log_history": []}',
    ],
)
@pytest.mark.parametrize("name", ["trained.safetensors", "trainer_state.json"])
def test_a_damaged_file_is_named(quick, half_done, name, content, tmp_path):
    (half_done / name).write_bytes(content)
    mark_whole(half_done)
    with pytest.raises(StorageError, match="cannot be read back .*; remove it, and") as found:
        heal(**quick, to=tmp_path / "healed")
    assert "\n" not in str(found.value)


def test_a_work_folder_that_was_moved_goes_on(quick, half_done, unbroken, tmp_path):
    (tmp_path / "work").rename(tmp_path / "moved")
    heal(**{**quick, "workdir": tmp_path / "moved"}, to=tmp_path / "healed")
    assert alike(weights_of(tmp_path / "healed"), unbroken())


def test_no_path_in_a_checkpoint_is_followed(quick, half_done, unbroken, tmp_path):
    state = json.loads((half_done / "trainer_state.json").read_text())
    state |= {"best_model_checkpoint": str(tmp_path), "best_global_step": 1, "best_metric": 0.0}
    (half_done / "trainer_state.json").write_text(json.dumps(state))
    mark_whole(half_done)
    heal(**quick, to=tmp_path / "healed")
    assert alike(weights_of(tmp_path / "healed"), unbroken())


def test_a_training_that_stopped_early_is_over(quick, overfitting, tmp_path):
    heal(**overfitting, to=tmp_path / "healed")
    before = [path.name for path in checkpoints_of(quick)]
    heal(**overfitting, to=tmp_path / "again")
    assert [path.name for path in checkpoints_of(quick)] == before
    assert alike(weights_of(tmp_path / "healed"), weights_of(tmp_path / "again"))


@pytest.mark.parametrize("step", [3, 5])
def test_early_stop_does_not_depend_on_kills(quick, overfitting, step, tmp_path):
    def stop(at):
        if at.what == "healing" and at.done >= step * 128:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        heal(**overfitting, progress=stop, to=tmp_path / "healed")
    result = heal(**overfitting, to=tmp_path / "healed")
    assert checkpoints_of(quick)[-1].name == "checkpoint-6"
    other = heal(**{**overfitting, "workdir": tmp_path / "other"}, to=tmp_path / "unbroken")
    assert result.healed == other.healed
    assert alike(weights_of(tmp_path / "healed"), weights_of(tmp_path / "unbroken"))
