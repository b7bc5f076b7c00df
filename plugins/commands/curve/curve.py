"""Search at every budget up to one, and measure each choice on held-out samples."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from prunekit.cli.bar import Reporting, reporting
from prunekit.core.errors import Interrupted
from prunekit.core.options import build
from prunekit.core.problem import Subset
from prunekit.core.registry import Registry, load
from prunekit.engine.arguments import takes
from prunekit.engine.budgets import BudgetSearch, plans_at
from prunekit.engine.config import NO_REPAIR, SearchConfig, Settings, parse
from prunekit.engine.files import check_writable, write_bytes, write_text
from prunekit.engine.finalists import Finals
from prunekit.engine.opening import open_session
from prunekit.engine.periods import PeriodSearch
from prunekit.engine.plan import Plan, check_searcher, resolve
from prunekit.engine.progress import Progress
from prunekit.engine.quiet import quietly
from prunekit.engine.session import Session
from prunekit.engine.versions import versions
from prunekit.engine.weights import dtype_of
from prunekit.hf.reading import dtype_name
from prunekit.plugins.commands.curve.evaluating import (
    Evaluations,
    evaluate_choices,
    evaluation_of,
)
from prunekit.plugins.commands.curve.knee import knee_of
from prunekit.plugins.commands.curve.picture import draw_curve
from prunekit.plugins.commands.curve.points import points_of
from prunekit.plugins.commands.curve.result import CurveResult, Point
from prunekit.plugins.commands.curve.steps import OF_CURVES, Steps
from prunekit.plugins.commands.evaluate.config import EvalConfig

FILE = "curve.json"


@takes(Settings, settings=OF_CURVES, plugins=True)
@quietly()
def curve(
    model: str | None = None,
    *,
    workdir: str | Path = "prunekit-runs",
    every: int = 1,
    evaluate: str = "",
    evaluate_samples: int | None = None,
    progress: Reporting = False,
    **given: Any,
) -> CurveResult:
    """Search at every budget up to `budget`, and write losses, a table and a picture of them.

    `given` has the words of `search`, and `every` is the number of blocks from one budget to the
    next. The searches share all that they measure: those of `greedy`, whose choices are nested,
    measure together what the largest one measures alone. Everything measured is kept under
    `workdir`, so that a call repeated after a stop goes on where it was. Finalists are not used.
    `evaluate` names texts, with commas between them, on which each choice has its perplexity
    measured as by `evaluate(ppl=...)`, on `evaluate_samples` windows of each if given.

    Raises PrunekitError, whose message says what to do.
    """
    registry = load()
    asked = {"every": every, "evaluate": evaluate, "evaluate_samples": evaluate_samples}
    steps = build(Steps, asked)
    plan = prepare(parse({"model": model, **given}, registry), registry)
    with reporting(progress) as shown:
        return run_curve(plan, steps, workdir, shown)


def prepare(config: SearchConfig, registry: Registry) -> Plan:
    """Make the plan of the search with the largest budget; nothing is loaded."""
    return resolve(replace(config, settings=replace(config.settings, finalists=0)), registry)


def run_curve(
    plan: Plan, steps: Steps, workdir: str | Path, progress: Progress | None = None
) -> CurveResult:
    """Search at every budget, and write the curve's folder under `workdir`/curves."""
    plans = plans_of(plan, steps.every)
    for smaller in plans.values():
        check_searcher(smaller)
    wanted = evaluation_of(steps)
    import yaml

    workdir = Path(workdir)
    check_writable(workdir)
    name = plan.name if steps.every == 1 else f"{plan.name}-every{steps.every}"
    folder = workdir / "curves" / name
    written = folder.absolute()  # a plugin may change the working directory
    work = _Curve(plans, wanted, workdir.absolute(), progress or Progress())
    result = work.result(str(folder))
    write_text(written / "config.yaml", yaml.safe_dump(plan.config.as_dict(), sort_keys=False))
    for ending, content in draw_curve(result).items():
        write_bytes(written / f"curve.{ending}", content)
    write_text(written / FILE, result.to_json())
    return result


def plans_of(plan: Plan, every: int = 1) -> dict[int, Plan]:
    """Return the plans of the budgets from the smallest to that of `plan`, which is always one."""
    period = plan.searcher.period if isinstance(plan.searcher, PeriodSearch) else 1
    last = plan.problem.budget
    return plans_at(plan, [*range(every * period, last, every * period), last])


class _Curve:
    """The searches of a curve, with what must be known when they are interrupted."""

    def __init__(
        self,
        plans: Mapping[int, Plan],
        wanted: EvalConfig | None,
        workdir: Path,
        progress: Progress,
    ) -> None:
        """What is `wanted` is evaluated of each choice."""
        self.plans = plans
        self.wanted = wanted
        self.plan = plans[max(plans)]
        self.workdir = workdir
        self.progress = progress
        self.search = BudgetSearch(plans, progress)

    def result(self, folder: str) -> CurveResult:
        start = time.monotonic()
        self.progress.begin("loading the model")
        try:
            with ExitStack() as stack:
                opened = open_session(self.plan, self.workdir, self.search.run.on_measured)
                session = stack.enter_context(opened)
                choices = self.search.choices(session, "the curve")
                held = self._held_out(stack, session)
                evaluated = self._evaluated(session, choices)
                points = points_of(self.plan, session, choices, held, evaluated.figures)
                seconds = time.monotonic() - start
                result = self._described(session, points, held, seconds, folder)
                return replace(result, texts=evaluated.texts)
        except KeyboardInterrupt:
            raise Interrupted(
                f"stopped. What was measured is saved in {self.workdir / 'journals'}; run the same "
                "command again to go on"
            ) from None

    def _held_out(self, stack: ExitStack, session: Session) -> Session | None:
        total = len(self.plans) + 1
        self.progress.begin("measuring held-out samples", "subsets", lambda: total)
        finals = Finals(stack, session, self.workdir, self.progress.advance)
        return finals.opened(self.plan)

    def _evaluated(self, session: Session, choices: Mapping[int, Subset]) -> Evaluations:
        if self.wanted is None:
            return Evaluations()
        self.progress.begin("evaluating")
        subsets = list(choices.values())
        return evaluate_choices(
            self.plan, session, subsets, self.wanted, self.workdir, self.progress
        )

    def _described(
        self,
        session: Session,
        points: tuple[Point, ...],
        held: Session | None,
        seconds: float,
        folder: str,
    ) -> CurveResult:
        plan, settings = self.plan, self.plan.config.settings
        losses = [point.held_out if held else point.loss for point in points]
        return CurveResult(
            model=plan.spec.model,
            weights=session.facts.fingerprint["weights"],
            searcher=settings.searcher,
            objective=settings.objective,
            unit=plan.objective.unit,
            seed=settings.seed,
            n_blocks=session.facts.n_blocks,
            samples=session.n_samples,
            held_out_samples=held.n_samples if held else 0,
            dtype=dtype_name(dtype_of(plan.checkpoint, plan.model_config, plan.spec)),
            points=points,
            knee=knee_of(
                [point.budget for point in points],
                [math.inf if loss is None else loss for loss in losses],
            ),
            measured=session.measured,
            seconds=round(seconds, 3),
            versions=versions(),
            folder=folder,
            repair="" if settings.repair == NO_REPAIR else settings.repair,
        )
