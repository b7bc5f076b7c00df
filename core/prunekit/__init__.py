"""Depth pruning of language models: which blocks can go?

The functions here do what the commands of the same names do. Plugins import `prunekit.core`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prunekit.workflows.evaluate import evaluate as evaluate
    from prunekit.workflows.export import export as export
    from prunekit.workflows.latency import latency as latency
    from prunekit.workflows.list_plugins import list_plugins as list_plugins
    from prunekit.workflows.new_plugin import new_plugin as new_plugin
    from prunekit.workflows.report import report as report
    from prunekit.workflows.search import search as search
    from prunekit.workflows.show import show as show
    from prunekit.workflows.study import study as study

__all__ = [
    "evaluate",
    "export",
    "latency",
    "list_plugins",
    "new_plugin",
    "report",
    "search",
    "show",
    "study",
]


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import prunekit.core` stays light for plugins."""
    if name not in __all__:
        raise AttributeError(f"module 'prunekit' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"prunekit.workflows.{name}"), name)
