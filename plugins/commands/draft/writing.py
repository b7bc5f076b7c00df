"""Write a draft: a checkpoint that is tried as a draft before it gets its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from prunekit.core.problem import Subset
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.drafted import Drafted
from prunekit.hf.checkpoint import find
from prunekit.hf.loading import resolve_device
from prunekit.hf.reading import read_model
from prunekit.plugins.commands.draft.plan import DraftPlan
from prunekit.plugins.commands.evaluate.store import read_record
from prunekit.plugins.commands.export.export import export_checkpoint


def write_draft(
    plan: DraftPlan,
    removed: Subset,
    to: Path,
    tried: Callable[[tuple[Any, Any], str], Drafted],
) -> Drafted:
    """Write the checkpoint, and return what `tried` finds when it is read back.

    `tried` is given the dense model and the draft, both as stock transformers loads them, and a
    name for the weights. Raises PrunekitError, and then leaves nothing at `to`.
    """
    found: list[Drafted] = []

    def prove(folder: Path) -> dict[str, Any]:
        spec, device = plan.tried, resolve_device(plan.tried.device)
        checkpoint = find(spec, load()).opened()
        written = replace(checkpoint, source=str(folder), revision=None).opened()
        models = tuple(
            read_model(one, device, spec.dtype).eval()  # type: ignore[no-untyped-call]
            for one in (checkpoint, written)
        )
        which = find(Spec(str(folder)), load()).identity()[:16]
        found.append(tried((models[0], models[1]), which))
        return {"draft": asdict(found[0])}

    run = plan.named.run if plan.named else None
    result, config = (run.result, run.config) if run else (None, None)
    evaluation = read_record(run.folder) if run else None
    export_checkpoint(plan.spec, removed, to, None, result, config, evaluation, prove)
    return found[0]
