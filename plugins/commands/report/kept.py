"""The values of single items and windows, which evaluations keep beside the studies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.measurement import Measurement
from prunekit.engine.stored import finite, read_stored, subset_name
from prunekit.engine.study_folder import AGAIN, VariantEvaluation, slug

HINTS = {"name": str, "record": Mapping[str, Any], "model": Mapping[str, Any]}


def kept_values(study: Path, of: VariantEvaluation) -> dict[str, Measurement]:
    """Return what single items and windows of a variant scored, by task and protocol.

    Empty where the study does not lie in the folder in which it was made, with `evaluations`
    beside `studies`, or if they were measured in another way than the study says.
    """
    weights = _weights(study, of.model)
    found = {}
    for row in _scores(study, of) if weights else ():
        if row["model"].get("weights") == weights and _is_that_of(row, of.details):
            found[row["name"]] = _measurement(row)
    return found


def _scores(study: Path, of: VariantEvaluation) -> Iterator[Mapping[str, Any]]:
    places = study.absolute().parent.parent / "evaluations"
    for path in sorted(places.glob(f"*/{subset_name(of.removed)}/*.json")):
        try:
            yield read_stored(path, 1, HINTS, "")
        except ConfigError:  # `prunekit evaluate` names it; a report can do without
            continue


def _weights(study: Path, model: str) -> str:
    path = study / "models" / f"{slug(model)}.json"
    hints = {"fingerprint": Mapping[str, Any]}
    return (
        str(read_stored(path, None, hints, AGAIN)["fingerprint"].get("weights", ""))
        if path.is_file()
        else ""
    )


def _is_that_of(row: Mapping[str, Any], details: Mapping[str, Any]) -> bool:
    """Return whether all that the score says of itself is in the study's record, too."""
    part = "tasks" if "items" in row else "perplexities"
    known = details.get(part, {}).get(row["name"])
    return known is not None and finite(dict(row["record"])).items() <= known.items()


def _measurement(row: Mapping[str, Any]) -> Measurement:
    if "items" in row:
        return Measurement(tuple(row["items"]), (1.0,) * len(row["items"]))
    sums = (float("inf") if x is None else x for x in row["sums"])
    return Measurement(tuple(sums), tuple(row["weights"]))
