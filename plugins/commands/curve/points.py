"""The points of a curve: what each choice costs, and what it saves."""

from __future__ import annotations

import math
from collections.abc import Mapping

from prunekit.core.problem import DENSE, Subset
from prunekit.engine.plan import Plan
from prunekit.engine.reading import Difference
from prunekit.engine.session import Session
from prunekit.engine.weights import dtype_of, weights_if_countable
from prunekit.plugins.commands.curve.result import Evaluated, Point

UNKNOWN = Difference(None, None)


def points_of(
    plan: Plan,
    session: Session,
    choices: Mapping[int, Subset],
    held: Session | None,
    figures: Mapping[Subset, Mapping[str, Evaluated]],
) -> tuple[Point, ...]:
    """Return the dense model and the choice at each budget, measured on both sets of samples."""
    subsets = {0: DENSE, **choices}
    removed = list(subsets.values())
    losses = session.losses(removed)
    above = session.differences(removed, DENSE)
    none = [math.nan] * len(removed), [UNKNOWN] * len(removed)
    held_out, held_above = (
        (held.losses(removed), held.differences(removed, DENSE)) if held else none
    )
    weights = weights_if_countable(plan.checkpoint, plan.model_config, plan.spec)
    width = dtype_of(plan.checkpoint, plan.model_config, plan.spec).itemsize
    facts = session.facts
    left = [facts.parameters - sum(facts.block_parameters[i] for i in s) for s in removed]
    rows = zip(subsets.items(), losses, above, held_out, held_above, left, strict=True)
    return tuple(
        Point(
            budget=budget,
            removed=tuple(sorted(subset)),
            loss=loss,
            above_dense=difference,
            held_out=held_loss if math.isfinite(held_loss) else None,
            held_out_above_dense=held_difference,
            parameters=parameters,
            bytes=parameters * width,
            speedup=weights.counts.speedup(subset) if weights else None,
            evaluated=figures.get(subset, {}),
        )
        for (budget, subset), loss, difference, held_loss, held_difference, parameters in rows
    )
