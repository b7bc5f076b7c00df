"""Heal a pruned model: train it on text, taught by the dense model that it was made from."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prunekit.cli.bar import Reporting, reporting
from prunekit.core.errors import Interrupted
from prunekit.core.measurement import Measurement
from prunekit.core.options import values_of
from prunekit.core.registry import load
from prunekit.engine.alone import alone_in
from prunekit.engine.arguments import takes
from prunekit.engine.choice import cell_file
from prunekit.engine.config import Settings
from prunekit.engine.files import check_target, write_text, writing
from prunekit.engine.healed import Healed
from prunekit.engine.progress import Progress
from prunekit.engine.provenance import name_of, without_paths
from prunekit.engine.quiet import quietly
from prunekit.engine.training import OF_HEALING, Training
from prunekit.hf.checkpoint import find
from prunekit.plugins.commands.heal.models import Models, measured_as_stored, open_models
from prunekit.plugins.commands.heal.pair import Which
from prunekit.plugins.commands.heal.plan import Plan, prepare, schedule
from prunekit.plugins.commands.heal.quiet_trainer import quiet_trainer
from prunekit.plugins.commands.heal.result import (
    HEALED,
    HealResult,
    NotHealed,
    check_bound,
    check_bound_given,
    difference,
    loss,
    verdict_on,
)
from prunekit.plugins.commands.heal.schedule import Schedule
from prunekit.plugins.commands.heal.writing import write_healed

FILE, CHECKPOINTS = "heal.json", "checkpoints"
"""In the folder of a training."""


@takes(Training, Settings, settings=OF_HEALING, plugins=True)
@quietly()
def heal(
    model: str | None = None,
    *,
    to: str | Path,
    run: str | Path | None = None,
    remove: Iterable[int] | None = None,
    budget: int | None = None,
    teacher: str | None = None,
    max_ppl_ratio: float | None = None,
    workdir: str | Path = "prunekit-runs",
    progress: Reporting = False,
    **given: Any,
) -> HealResult:
    """Train a pruned model on text, and write it to the folder `to`.

    That is a checkpoint `model` that prunekit wrote, the choice of a search `run`, or `model`
    without the blocks `remove`. Its dense model teaches it: `teacher`, where it is not found beside
    the checkpoint. `given` may hold the fields of `Training`, as `tokens=200_000`; settings of the
    model, as `device`; `seed`; and the `objective` and its options, which say which text, as
    `ppl={"data": "chats.jsonl"}`. What is kept under `workdir` lets the same call go on after a
    stop.

    Raises TooMuchLost, after all is written, if its perplexity on held-out text is more than
    `max_ppl_ratio` times the dense one; and PrunekitError, whose message says what to do.
    """
    check_target(Path(to))
    check_bound_given(max_ppl_ratio)
    which = Which(model, run, remove, budget, teacher)
    plan = prepare(which, Path(workdir), given)
    try:
        with alone_in(plan.folder), reporting(progress) as shown:
            result = heal_and_write(plan, Path(to), shown)
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped; the same command goes on from the last checkpoint in {plan.folder}"
        ) from None
    if run is not None and (cell := cell_file(Path(run), Path(workdir))):
        place = cell.parent.parent / HEALED / f"{cell.stem}.{plan.folder.name}.json"
        write_text(place, result.to_json())  # for the report of the study
    check_bound(result, max_ppl_ratio)
    return result


def heal_and_write(plan: Plan, to: Path, progress: Progress) -> HealResult:
    """Train on from the last checkpoint, and write what came out.

    Raises NotHealed if no step is better on held-out text than the pruned model.
    """
    models = open_models(plan, progress)
    steps = schedule(plan, models.autocast)
    step, best = _train(plan, models, steps, progress)
    before = loss(models.before)
    if not step:
        raise NotHealed(
            f"training diverged: no check of {plan.folder} found a finite loss on held-out text; "
            "nothing was written. Give a lower --rate"
        )
    if best >= before:
        raise NotHealed(_no_gain(best, before, step))
    checkpoint = find(plan.pair.pruned, load()).opened()
    model = models.finish(checkpoint.dtype())
    after = measured_as_stored(model, plan, progress)
    if loss(after) >= before:  # in the dtype of the checkpoint
        raise NotHealed(_no_gain(loss(after), before, step))
    healed = _healed(plan, models, steps, step, after)
    progress.begin("writing")
    write_healed(model, checkpoint, plan.pair.record, healed, to)
    result = HealResult(
        model=name_of(plan.pair.dense.model),
        removed=tuple(sorted(plan.pair.removed)),
        healed=healed,
        verdict_before=verdict_on(healed.above_before, healed),
        verdict=verdict_on(healed.above, healed),
        saved=str(to),
        folder=str(plan.folder),
    )
    write_text(plan.folder / FILE, result.to_json())
    return result


def _no_gain(after: float, before: float, step: int) -> str:
    return (
        f"training gained nothing on held-out text: {after:.4f} nats per token after step {step}, "
        f"{before:.4f} before; nothing was written. Give more text, or another --rate"
    )


def _train(plan: Plan, models: Models, steps: Schedule, progress: Progress) -> tuple[int, float]:
    """Train; return the best step, whose weights the student then has, and its held-out loss."""
    from prunekit.plugins.commands.heal.trainer import Healer

    total = steps.steps * steps.tokens_a_step

    def watch(step: int, held_out: float | None) -> None:
        note = "" if held_out is None else f"held out {held_out:.4f}"
        progress.count("healing", step * steps.tokens_a_step, total, "tokens", note)

    folder = plan.folder / CHECKPOINTS
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with quiet_trainer():
        return Healer(models.student, plan.text, models.teacher, steps, folder, watch).heal()


def _healed(plan: Plan, models: Models, steps: Schedule, step: int, after: Measurement) -> Healed:
    packages = ["accelerate", "transformers", "torch", *["peft"] * (plan.training.method == "lora")]
    taught = plan.training.distill > 0
    return Healed(
        teacher=name_of(plan.pair.dense.model) if taught else "",
        method=plan.training.method,
        trained=plan.training.words,
        tokens=step * steps.tokens_a_step,
        planned=steps.steps * steps.tokens_a_step,
        distinct=sum(sample["input_ids"].numel() for sample in plan.text.trained),
        data=name_of(str(values_of(plan.objective).get("data", plan.objective.name))),
        distill=plan.training.distill,
        rate=steps.rate,
        length=steps.length,
        seed=plan.seed,
        step=step,
        held_out=int(sum(after.weights)),
        samples=len(after.sums),
        dense=loss(models.dense),
        before=loss(models.before),
        after=loss(after),
        gain=difference(after, models.before),
        above=difference(after, models.dense),
        above_before=difference(models.before, models.dense),
        versions={name: version(name) for name in packages},
        options=without_paths(values_of(plan.training)),
        objective=plan.objective.name,
        objective_options=without_paths(values_of(plan.objective)),
    )
