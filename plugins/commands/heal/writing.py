"""Write a healed model: the weights that were trained into the files of the pruned one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunekit.core.problem import DENSE
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.config import SearchConfig, parse
from prunekit.engine.files import rename_into_place, writing
from prunekit.engine.healed import Healed
from prunekit.engine.provenance import FILE
from prunekit.engine.versions import versions
from prunekit.hf.checkpoint import Checkpoint, find
from prunekit.hf.model_config import FILE as CONFIG
from prunekit.hf.model_config import config_json
from prunekit.hf.proof import probe
from prunekit.hf.readback import Proof
from prunekit.hf.roundtrip import PROBE, Expectation, check_checkpoint, check_dtype, check_model
from prunekit.hf.side_files import copy_side_files
from prunekit.hf.weights import changed_weights, write_weights
from prunekit.plugins.commands.export.model_card import FILE as CARD
from prunekit.plugins.commands.export.model_card import model_card
from prunekit.plugins.commands.heal.loss import logits_of


def write_healed(
    model: Any,
    checkpoint: Checkpoint,
    record: Mapping[str, Any],
    healed: Healed,
    to: Path,
) -> Proof:
    """Write `model`, which is the pruned `checkpoint` with other weights.

    It is read back and compared with the model in memory before it gets its name. `record` is the
    `prunekit.json` of the checkpoint. Raises CheckpointError or StorageError, and then leaves
    nothing at `to`.
    """
    expected = _expectation(model)
    check_model(model, expected)
    before = [*record.get("healed_before", ()), *filter(None, [record.get("heal")])]
    new: dict[str, Any] = {**record, "versions": versions(), "heal": dataclasses.asdict(healed)}
    new["healed_before"] = before
    for name in ("certificate", "draft"):  # which are about other weights
        new.pop(name, None)
    with rename_into_place(to) as folder:
        with writing(to):
            changed = changed_weights(model, checkpoint)
            write_weights(model, checkpoint, DENSE, folder, None, changed)
            settings = config_json(checkpoint, DENSE, None)
            (folder / CONFIG).write_text(settings, encoding="utf-8")
            copy_side_files(checkpoint, folder)
        proof = check_checkpoint(folder, expected, checkpoint)
        check_dtype(folder, checkpoint, None)
        new["proof"] = dataclasses.asdict(proof)
        card = model_card(new, config_of(record), checkpoint.folder())
        with writing(to):
            new["checkpoint"] = find(Spec(str(folder)), load()).identity()
            (folder / FILE).write_text(json.dumps(new, indent=2) + "\n", encoding="utf-8")
            (folder / CARD).write_text(card, encoding="utf-8")
    return proof


def _expectation(model: Any) -> Expectation:
    import torch

    batch = probe(PROBE, config=model.config)
    with torch.no_grad():
        return Expectation(batch, logits_of(model, batch), trained=True)


def config_of(record: Mapping[str, Any]) -> SearchConfig | None:
    """Return the search in a record, None without one. Raises ConfigError for missing plugins."""
    return parse(record["config"], load()) if record.get("config") else None
