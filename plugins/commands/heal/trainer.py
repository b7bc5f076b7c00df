"""Train a student: transformers' Trainer with the loss of healing, and checkpoints that hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from prunekit.core.errors import StorageError
from prunekit.core.measurement import mean_loss
from prunekit.plugins.commands.heal.checkpoints import (
    History,
    checkpoint_of,
    checkpoints_in,
    could_not_write,
    history_in,
    keep_only,
    last_whole,
    load_trained,
    mark_whole,
    reading_back,
    save_trained,
)
from prunekit.plugins.commands.heal.loss import logits_of, student_loss, text_losses
from prunekit.plugins.commands.heal.schedule import Schedule
from prunekit.plugins.commands.heal.teachers import Teacher
from prunekit.plugins.commands.heal.text import Text
from prunekit.plugins.commands.heal.trainable import trained_weights

if TYPE_CHECKING:
    from torch import Tensor

Watch = Callable[[int, float | None], None]
"""Called with the steps done, and the last loss on held-out text, in nats per token."""


class Rows(torch.utils.data.Dataset[int]):
    """The numbers of the sequences, in the order in which they are trained on."""

    def __init__(self, order: Sequence[int]) -> None:
        self.order = order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, place: int) -> int:
        return self.order[place]


class Healer(Trainer):
    """Trains a student on text and its teacher's predictions; the best weights are kept.

    Those are the weights with the lowest loss on held-out text.

    What is trained, the optimizer, and the step are kept at every check, so that a training that
    is stopped ends with the same weights as one that is not.
    """

    loss_is_scaled_for_ga = False

    def __init__(
        self,
        model: Any,
        text: Text,
        teacher: Teacher | None,
        schedule: Schedule,
        folder: Path,
        watch: Watch,
    ) -> None:
        """Checkpoints are kept in `folder`, which may hold those of a training that was stopped."""
        self.text, self.teacher, self.schedule = text, teacher, schedule
        self.folder, self.watch = folder, watch
        self.distill = schedule.distill if teacher else 0.0
        arguments = _arguments(schedule, folder, model.device)
        self.rows = Rows(schedule.order)
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=self.rows,
            eval_dataset=self.rows,
            data_collator=self._collate,
            callbacks=[Watching(self)],
        )
        self.remove_callback(PrinterCallback)
        self.model_accepts_loss_kwargs = False

    def heal(self) -> tuple[int, float]:
        """Train on from the last checkpoint; return the best step and its loss on held-out text.

        The model then has the weights of that step. Step 0 means none, where no check found a
        finite loss. Raises StorageError if a checkpoint can be neither written nor read back.
        """
        last = last_whole(self.folder)
        history = history_in(last) if last else History({})
        if not self._is_over(history):
            self.train(resume_from_checkpoint=str(last) if last else None)
            history = History.of(self.state.log_history)
        step, best = history.best
        if step:
            load_trained(trained_weights(self.model), checkpoint_of(self.folder, step))
        return step, best

    def _is_over(self, history: History) -> bool:
        done = max(history.losses, default=0) >= self.schedule.steps
        return done or history.is_over(self.schedule.patience)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Let the learning rate rise, then fall like a cosine."""
        steps: Any = self.optimizer
        rates = torch.optim.lr_scheduler.LambdaLR(steps, self.schedule.share_of_rate)
        self.lr_scheduler, self._created_lr_scheduler = rates, True
        return rates

    def _collate(self, rows: Sequence[int]) -> dict[str, Any]:
        return {"rows": torch.tensor(rows)}

    def _get_train_sampler(self, *_: Any) -> Any:
        return torch.utils.data.SequentialSampler(self.rows)

    def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Tensor:
        """Return the loss of some sequences."""
        rows = inputs["rows"].tolist()
        batch = self.text.batch(rows)
        predictions = self.teacher.predictions(batch, rows) if self.teacher else None
        with self.schedule.mixed(self.args.device):
            logits = logits_of(model, batch)
        return student_loss(logits, batch.targets.to(logits.device), predictions, self.distill)

    def floating_point_ops(self, inputs: Any) -> int:
        """Nothing here asks for it."""
        return 0

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measure the loss on held-out text."""
        student: Any = self.model
        student.eval()
        with self.schedule.mixed(self.args.device):
            rows = text_losses(student, self.text.held_out, self.schedule.tokens_at_once)
        metrics = {"eval_loss": mean_loss(rows.sums, rows.weights)}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        save_trained(trained_weights(self.model), Path(output_dir or self.folder))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_trained(trained_weights(self.model), Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with reading_back(Path(str(checkpoint))):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with reading_back(Path(str(checkpoint))):
            super()._load_rng_state(checkpoint)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint whole; then remove all but this, the one before, and the best."""
        path = checkpoint_of(self.folder, self.state.global_step)
        before = [p for p in checkpoints_in(self.folder) if p != path][-1:]
        try:
            super()._save_checkpoint(model, trial)
            mark_whole(path)
        except StorageError:
            raise
        except Exception as error:  # torch and safetensors have errors of their own for a full disk
            raise could_not_write(path, error, before[0] if before else None) from error
        step, _ = History.of(self.state.log_history).best
        keep_only(self.folder, {path, *before, checkpoint_of(self.folder, step)})


class Watching(TrainerCallback):
    """Passes on how far the training is."""

    def __init__(self, healer: Healer) -> None:
        self.healer = healer
        self.loss: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Tell where it begins."""
        self.healer.watch(state.global_step, None)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Tell of every step."""
        self.healer.watch(state.global_step, self.loss)

    def on_evaluate(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Tell of every check, and stop after some without a gain."""
        self.loss = given["metrics"]["eval_loss"]
        self.healer.watch(state.global_step, self.loss)
        history = History.of(state.log_history)
        control.should_training_stop |= history.is_over(self.healer.schedule.patience)


def _arguments(schedule: Schedule, folder: Path, device: torch.device) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=schedule.steps,
        per_device_train_batch_size=schedule.rows_at_once,
        gradient_accumulation_steps=schedule.parts,
        learning_rate=schedule.rate,
        weight_decay=0.0,
        eval_strategy="steps",
        eval_steps=schedule.every,
        save_strategy="steps",
        save_steps=schedule.every,
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        seed=schedule.seed,
        use_cpu=device.type == "cpu",
    )
    assert arguments.device.type == device.type
    arguments._n_gpu = min(1, arguments.n_gpu)  # more would be given a copy of the model each
    return arguments
