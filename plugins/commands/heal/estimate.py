"""Estimate what healing will cost: time and memory, from one part of a step."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.engine.progress import Progress
from prunekit.engine.quiet import quietly
from prunekit.plugins.commands.heal.loss import logits_of, student_loss, text_losses
from prunekit.plugins.commands.heal.models import (
    autocast_of,
    dtype_of,
    read_frozen,
    read_teacher,
    trainable,
    words_folder,
)
from prunekit.plugins.commands.heal.pair import Which
from prunekit.plugins.commands.heal.plan import Plan, prepare, schedule
from prunekit.plugins.commands.heal.quiet_trainer import quiet_trainer
from prunekit.plugins.commands.heal.schedule import Schedule
from prunekit.plugins.commands.heal.teachers import RunningTeacher, is_kept
from prunekit.plugins.commands.heal.trainable import trained_weights

if TYPE_CHECKING:
    from torch import Tensor

MEASURED = 3
"""Models that are measured on held-out text beside the checks: dense, pruned, healed."""
STATES = 3
"""Numbers for each that is trained: its gradient, and two of the optimizer (Adam)."""


@dataclass(frozen=True)
class HealEstimate:
    """What a training takes, from one part of a step that was run twice."""

    trained: str
    """what is trained, in words"""
    steps: int
    tokens: int
    sequences: int
    """to train on, all different"""
    held_out: int
    """more of them"""
    length: int
    """tokens of each"""
    checks: int
    tokens_per_second: float
    """of text, while it trains"""
    seconds: float
    """in all, without loading"""
    weights_bytes: int
    """of both models; the teacher's are not in memory while the student trains if words are kept"""
    shared_bytes: int
    """of these, what both share, and which is counted once"""
    training_bytes: int
    """gradients and optimizer"""
    activation_bytes: int
    """of one part of a step, with logits"""
    kept_bytes: int
    """on disk, for the words of the teacher"""

    @property
    def memory_bytes(self) -> int:
        """Return the memory at the peak, about."""
        return self.weights_bytes + self.training_bytes + self.activation_bytes

    def to_json(self) -> str:
        """Return JSON text."""
        row = {**dataclasses.asdict(self), "memory_bytes": self.memory_bytes}
        return json.dumps(row, indent=2) + "\n"


@quietly()
def estimate_heal(
    model: str | None = None,
    *,
    run: str | Path | None = None,
    remove: Iterable[int] | None = None,
    budget: int | None = None,
    teacher: str | None = None,
    workdir: str | Path = "prunekit-runs",
    progress: Progress,
    **given: Any,
) -> HealEstimate:
    """Load the models as `heal` does, and time one part of a step. Raises PrunekitError like it."""
    plan = prepare(Which(model, run, remove, budget, teacher), Path(workdir), given)
    dtype = dtype_of(plan.pair)
    steps = schedule(plan, autocast_of(dtype))
    dense = read_teacher(plan, progress)
    taught = RunningTeacher(dense) if plan.training.distill else None
    kept = bool(plan.training.keep_words and taught)
    student = read_frozen(plan.pair.pruned, plan.pair, progress)
    with quiet_trainer():
        student, shared = trainable(student, None if kept else taught, plan)
    progress.begin("timing a part of a step")
    timed = [_timed(plan, steps, student, taught) for _ in range(2)][1]
    return _estimate(plan, steps, timed, student, dense, shared, kept)


@dataclass(frozen=True)
class _Timed:
    """One part of a step."""

    teacher: float
    student: float
    forward: float
    """of the student, without gradients"""
    saved_bytes: int


def _timed(plan: Plan, steps: Schedule, student: Any, teacher: RunningTeacher | None) -> _Timed:
    from torch.autograd.graph import saved_tensors_hooks

    rows = list(steps.order[: steps.rows_at_once])
    batch = plan.text.batch(rows)
    student.train()
    at = [time.perf_counter()]
    predictions = teacher.predictions(batch, rows) if teacher else None
    at.append(_now(student))
    own = {weight.untyped_storage().data_ptr() for weight in student.parameters()}
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor), steps.mixed(student.device):
        logits = logits_of(student, batch)
    loss = student_loss(logits, batch.targets.to(logits.device), predictions, steps.distill)
    loss.backward()  # type: ignore[no-untyped-call]
    at.append(_now(student))
    student.zero_grad()
    student.eval()
    with steps.mixed(student.device):
        text_losses(student, [plan.text.trained[row] for row in rows], steps.tokens_at_once)
    at.append(_now(student))
    of_logits = logits.nbytes * (3 if teacher else 2)  # with their gradient, and the teacher's
    taught, trained, forward = (later - before for before, later in pairwise(at))
    return _Timed(taught, trained, forward, sum(saved.values()) + of_logits)


def _now(model: Any) -> float:
    import torch

    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return time.perf_counter()


def _estimate(
    plan: Plan,
    steps: Schedule,
    timed: _Timed,
    student: Any,
    dense: Any,
    shared: int,
    kept: bool,
) -> HealEstimate:
    n, held_out = len(plan.text.trained), len(plan.text.held_out)
    parts = steps.steps * steps.parts
    checks = min(steps.checks, steps.steps)
    to_keep = 0 if kept and is_kept(words_folder(plan), plan.text.trained) else n
    of_teacher = timed.teacher * (to_keep / steps.rows_at_once if kept else parts)
    checked = (checks + MEASURED) * held_out / steps.rows_at_once * timed.forward
    trained = trained_weights(student)
    weights = sum(weight.nbytes for weight in student.parameters())
    in_memory = [w for w in dense.parameters() if w.device.type != "meta" and not kept]
    weights += sum(weight.nbytes for weight in in_memory)
    tokens = steps.steps * steps.tokens_a_step
    words = plan.training.keep_words
    return HealEstimate(
        trained=plan.training.words,
        steps=steps.steps,
        tokens=tokens,
        sequences=n,
        held_out=held_out,
        length=steps.length,
        checks=checks,
        tokens_per_second=tokens / (parts * timed.student + of_teacher),
        seconds=parts * timed.student + of_teacher + checked,
        weights_bytes=weights - shared,
        shared_bytes=shared,
        training_bytes=STATES * sum(weight.nbytes for weight in trained.values()),
        activation_bytes=timed.saved_bytes,
        kept_bytes=6 * words * to_keep * steps.length if kept else 0,
    )
