"""Versions of the software that made a result."""

from __future__ import annotations

import platform
from importlib.metadata import version


def versions() -> dict[str, str]:
    """Return the versions of prunekit, Python and the libraries that change numbers."""
    names = ("prunekit", "torch", "transformers")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
