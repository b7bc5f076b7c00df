"""Depth pruning of language models: which blocks can go?

`prunekit.search`, `prunekit.export` and `prunekit.report` do what the commands do. Plugins import
`prunekit.core`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prunekit.workflows.export import export as export
    from prunekit.workflows.report import report as report
    from prunekit.workflows.search import search as search

__all__ = ["export", "report", "search"]


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import prunekit.core` stays light for plugins."""
    if name not in __all__:
        raise AttributeError(f"module 'prunekit' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"prunekit.workflows.{name}"), name)
