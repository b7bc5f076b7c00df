"""Depth pruning of language models: which blocks can go?

The functions here do what the commands of the same names do. Plugins import `prunekit.core`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prunekit.plugins.commands.certify.certify import certify as certify
    from prunekit.plugins.commands.curve.curve import curve as curve
    from prunekit.plugins.commands.draft.draft import draft as draft
    from prunekit.plugins.commands.evaluate.evaluate import evaluate as evaluate
    from prunekit.plugins.commands.export.export import export as export
    from prunekit.plugins.commands.heal.heal import heal as heal
    from prunekit.plugins.commands.latency.latency import latency as latency
    from prunekit.plugins.commands.list_plugins.listing import list_plugins as list_plugins
    from prunekit.plugins.commands.new_plugin.new_plugin import new_plugin as new_plugin
    from prunekit.plugins.commands.report.writing import report as report
    from prunekit.plugins.commands.search.search import search as search
    from prunekit.plugins.commands.show.show import show as show
    from prunekit.plugins.commands.study.run import study as study

__all__ = [
    "certify",
    "curve",
    "draft",
    "evaluate",
    "export",
    "heal",
    "latency",
    "list_plugins",
    "new_plugin",
    "report",
    "search",
    "show",
    "study",
]
_MODULES = {"list_plugins": "listing", "report": "writing", "study": "run"}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import prunekit.core` stays light for plugins."""
    if name == "__version__":
        from importlib.metadata import version

        return version("prunekit")
    if name not in __all__:
        raise AttributeError(f"module 'prunekit' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"prunekit.plugins.commands.{name}.{_MODULES.get(name, name)}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
