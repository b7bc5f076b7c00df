"""Why something was not done, in one line."""

from __future__ import annotations

import os

from prunekit.core.errors import PrunekitError
from prunekit.hf.checkpoint import first_line


def reason(error: Exception) -> str:
    """What an error says; with PRUNEKIT_DEBUG set, one that is no user's mistake is raised."""
    if isinstance(error, PrunekitError):
        return str(error)
    if os.environ.get("PRUNEKIT_DEBUG"):
        raise error
    return f"{type(error).__name__}: {first_line(error)}; PRUNEKIT_DEBUG=1 shows where"
