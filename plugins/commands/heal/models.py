"""Load the student and its teacher, and finish what was trained."""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError
from prunekit.core.measurement import Measurement
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.progress import Progress
from prunekit.engine.training import Training
from prunekit.hf.checkpoint import find
from prunekit.hf.loading import resolve_device
from prunekit.hf.reading import dtype_name, read_model, resolve_dtype
from prunekit.plugins.commands.heal.loss import text_losses
from prunekit.plugins.commands.heal.pair import Pair
from prunekit.plugins.commands.heal.plan import Plan
from prunekit.plugins.commands.heal.quiet_trainer import quiet_trainer
from prunekit.plugins.commands.heal.teachers import (
    RunningTeacher,
    Teacher,
    folder_name,
    keep_words,
)
from prunekit.plugins.commands.heal.trainable import (
    mark_trained,
    share_weights,
    with_lora,
)

if TYPE_CHECKING:
    import torch

TEACHERS = "teachers"
"""The folder in a work folder for the likeliest words of teachers."""


@dataclass
class Models:
    """A student ready to be trained, its teacher, and the losses of both on held-out text."""

    student: Any
    teacher: Teacher | None
    dense: Measurement
    before: Measurement
    autocast: torch.dtype | None
    """in which products are computed, if it is not that of what is trained"""
    training: Training

    def finish(self, dtype: torch.dtype) -> Any:
        """Return the trained model in the dtype of its checkpoint.

        The teacher is given up, as it may share weights with what LoRA is merged into.
        """
        self.teacher = None
        model = self.student
        if self.training.method == "lora":
            model = model.merge_and_unload()
        cast(model.requires_grad_(False).eval(), dtype)
        return model


def open_models(plan: Plan, progress: Progress) -> Models:
    """Load both models and measure them on held-out text.

    Where the words of the teacher are kept, it is in memory before the student only.
    """
    pair, training, text = plan.pair, plan.training, plan.text
    dense = read_teacher(plan, progress)
    of_dense = measured(dense, plan, "the dense model", progress)
    teacher: Teacher | None = None
    if training.distill and training.keep_words:
        teacher = keep_words(
            dense,
            text.trained,
            training.keep_words,
            words_folder(plan),
            plan.at_once,
            lambda done: progress.count("keeping words", done, len(text.trained), "sequences"),
        )
    elif training.distill:
        teacher = RunningTeacher(dense)
    if not isinstance(teacher, RunningTeacher):
        del dense  # before the student needs its memory
    student = read_frozen(pair.pruned, pair, progress)
    before = measured(student, plan, "the pruned model", progress)
    dtype = dtype_of(pair)
    for spec, found in ((pair.dense, of_dense), (pair.pruned, before)):
        if not all(map(math.isfinite, found.sums)):
            raise CheckpointError(
                f"{spec.model}: its losses on held-out text are not finite in {dtype_name(dtype)}: "
                "its weights are damaged, or need another --dtype"
            )
    student, _ = trainable(student, teacher, plan)
    return Models(student, teacher, of_dense, before, autocast_of(dtype), training)


def words_folder(plan: Plan) -> Path:
    """Return the folder for the words of the teacher."""
    identity, dtype = find(plan.pair.dense, load()).identity(), dtype_name(dtype_of(plan.pair))
    name = folder_name(identity, plan.text.digest(), dtype, plan.training.keep_words)
    return plan.workdir.absolute() / TEACHERS / name


def trainable(student: Any, teacher: Teacher | None, plan: Plan) -> tuple[Any, int]:
    """Return the student as it is trained, and the bytes of weights that it shares with a teacher.

    Raises ConfigError as `mark_trained` and `with_lora` do.
    """
    training = plan.training
    mark_trained(student, training)
    spared = 0
    if isinstance(teacher, RunningTeacher):
        spared = share_weights(student, teacher.model, plan.pair.removed)
    if training.method == "lora":
        student = with_lora(student, training.lora_rank, plan.seed)
    if training.recompute:
        student.gradient_checkpointing_enable({"use_reentrant": False})
    return student, spared


def dtype_of(pair: Pair) -> torch.dtype:
    """Return the dtype in which both models are loaded; gradients would vanish in float16."""
    import torch

    checkpoint = find(pair.pruned, load()).opened()
    dtype = resolve_dtype(pair.pruned.dtype, resolve_device(pair.pruned.device), checkpoint)
    return torch.float32 if dtype is torch.float16 else dtype


def autocast_of(dtype: torch.dtype) -> torch.dtype | None:
    """Return the dtype of products, where what is trained has another; None where all is alike."""
    import torch

    return torch.bfloat16 if dtype is torch.bfloat16 else None


def read_teacher(plan: Plan, progress: Progress) -> Any:
    """Load the dense model, on one device or where `--device-map` puts it."""
    pair, device_map = plan.pair, plan.training.device_map
    if device_map == "none":
        return read_frozen(pair.dense, pair, progress)
    folder = tempfile.mkdtemp(prefix="offload-", dir=plan.workdir)
    spread = "auto" if device_map == "auto" else {"": "disk"}
    placed = {"device_map": spread, "offload_folder": folder}
    with quiet_trainer():
        model = read_frozen(pair.dense, pair, progress, placed)
    weakref.finalize(model, shutil.rmtree, folder, ignore_errors=True)
    return model


def read_frozen(
    spec: Spec,
    pair: Pair,
    progress: Progress,
    placed: Mapping[str, Any] = MappingProxyType({}),
) -> Any:
    """Load one of the models of a pair, none of whose weights requires a gradient."""
    who = "dense" if spec == pair.dense else "pruned"
    progress.begin(f"loading the {who} model")
    checkpoint, device = find(spec, load()).opened(), resolve_device(pair.pruned.device)
    model: Any = read_model(checkpoint, device, dtype_name(dtype_of(pair)), placed)
    return model.requires_grad_(False).eval()


def measured(model: Any, plan: Plan, who: str, progress: Progress) -> Measurement:
    """Return the losses of a model on the held-out text."""
    what, held_out = f"measuring {who}", plan.text.held_out

    def done(count: int) -> None:
        progress.count(what, count, len(held_out), "sequences")

    done(0)
    return text_losses(model, held_out, plan.at_once, done)


def measured_as_stored(model: Any, plan: Plan, progress: Progress) -> Measurement:
    """Return the losses of a finished model, in float32 where its own dtype would be slow."""
    import torch

    own, slow = model.dtype, model.device.type == "cpu" and model.dtype is torch.float16
    if not slow:
        return measured(model, plan, "the healed model", progress)
    cast(model, torch.float32)
    found = measured(model, plan, "the healed model", progress)
    cast(model, own)  # exactly what it was
    return found


def cast(model: Any, dtype: torch.dtype) -> None:
    """Cast the weights of a model; what it derived, such as frequencies, stays as it is."""
    for weight in model.parameters():
        weight.data = weight.data.to(dtype)
