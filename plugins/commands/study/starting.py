"""What a study can start from: a file with everything in it, and the searchers of the paper."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.engine.files import check_writable, write_text

TEMPLATES = Path(__file__).parent / "templates"
PAPER = "paper"
"""In place of a list of searchers: the seven of the paper."""


def write_study(path: Path) -> None:
    """Write a study of a demo model to begin with. Raises ConfigError if the file exists."""
    if os.path.lexists(path):
        raise ConfigError(f"{path} exists already; choose another name, or remove it")
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"{path}: expected a name for a YAML file, as {path.stem}.yaml")
    check_writable(path)
    text = (TEMPLATES / "study.yaml").read_text(encoding="utf-8")
    write_text(path, text.replace("FILE", path.name).replace("NAME", path.stem))


def paper_searchers() -> dict[str, Any]:
    """Return the searchers of the paper by their names, with options as published."""
    import yaml

    found: dict[str, Any] = yaml.safe_load((TEMPLATES / "paper.yaml").read_text(encoding="utf-8"))
    return found
