"""Import the package of a tracker, which is not among prunekit's own requirements."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from prunekit.core import ConfigError


def imported(module: str, package: str) -> Any:
    """Import a tracker's module. Raises ConfigError with what to install if it is missing."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module:
            raise
        raise ConfigError(
            f"{package} is not installed; pip install {package}, or choose another tracker"
        ) from None
