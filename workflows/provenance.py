"""What a written checkpoint says about its own making: `prunekit.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from prunekit.core.interfaces import ModelFacts
from prunekit.core.problem import Subset
from prunekit.workflows.versions import versions

SCHEMA = 1
FILE = "prunekit.json"


def provenance(
    model: str, facts: ModelFacts, removed: Subset, result: Mapping[str, Any] | None
) -> str:
    """Which model, which weights, which blocks, and the search that chose them, if any."""
    row = {
        "schema": SCHEMA,
        "model": model,
        "weights": facts.fingerprint["weights"],
        "blocks": facts.n_blocks,
        "removed": sorted(removed),
        "kept": [i for i in range(facts.n_blocks) if i not in removed],
        "versions": versions(),
        "search": result,
    }
    return json.dumps(row, indent=2) + "\n"
