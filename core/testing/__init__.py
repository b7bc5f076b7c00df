"""The old name of `prunekit.testing`, kept until version 0.3."""

import warnings
from importlib import import_module
from typing import Any

warnings.warn("prunekit.core.testing is now prunekit.testing", DeprecationWarning, stacklevel=2)


def __getattr__(name: str) -> Any:
    return getattr(import_module("prunekit.testing"), name)
