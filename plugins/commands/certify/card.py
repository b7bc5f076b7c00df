"""Add a certificate to the checkpoint it is about: to its model card and prunekit.json."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from prunekit.core.errors import ConfigError
from prunekit.engine.files import check_writable, write_text
from prunekit.engine.provenance import FILE
from prunekit.hf.gguf_checkpoint import is_gguf
from prunekit.plugins.commands.certify.certificate import Certificate
from prunekit.plugins.commands.evaluate.target import EvalTarget
from prunekit.plugins.commands.export.model_card import FILE as CARD
from prunekit.plugins.commands.export.model_card import model_card
from prunekit.plugins.commands.heal.writing import config_of


def check_card(target: EvalTarget) -> None:
    """Raise ConfigError unless it is a checkpoint that prunekit wrote, with plugins that are here.

    StorageError if nothing can be written there.
    """
    if target.record is None:
        raise ConfigError(
            "--card: only a checkpoint that prunekit wrote has a card for it; export the model, "
            "and certify --model FOLDER --card"
        )
    if is_gguf(target.spec.model):
        raise ConfigError(
            f"--card: {target.spec.model} has no model card; leave --card out, or export a folder"
        )
    check_writable(Path(target.spec.model).expanduser())
    config_of(target.record)


def add_to_card(certificate: Certificate, target: EvalTarget) -> None:
    """Replace the certificate in both files. Raises StorageError if that fails."""
    assert target.record
    folder = Path(target.spec.model).expanduser()
    record = {**target.record, "certificate": dataclasses.asdict(certificate.certified())}
    card = model_card(record, config_of(record), folder)
    write_text(folder / FILE, json.dumps(record, indent=2) + "\n")
    write_text(folder / CARD, card)
