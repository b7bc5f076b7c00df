"""Depth pruning of language models: which blocks can go?

The functions here do what the commands of the same names do. Plugins import `prunekit.core`.
"""

from __future__ import annotations

from typing import Any

_COMMANDS = {
    "certify": "certify.certify",
    "curve": "curve.curve",
    "draft": "draft.draft",
    "evaluate": "evaluate.evaluate",
    "export": "export.export",
    "heal": "heal.heal",
    "latency": "latency.latency",
    "list_plugins": "list_plugins.listing",
    "load_study": "report.loading",
    "new_plugin": "new_plugin.new_plugin",
    "report": "report.writing",
    "search": "search.search",
    "show": "show.show",
    "study": "study.run",
    "track": "track.track",
    "GateMissed": "evaluate.gate",
    "NoDraftPays": "draft.result",
    "NotCertified": "certify.certificate",
    "NotHealed": "heal.result",
    "TooMuchLost": "heal.result",
}
_ERRORS = (
    *("CheckpointError", "ConfigError", "Interrupted", "OutOfMemory", "PluginError"),
    *("PrunekitError", "Remark", "StorageError"),
)
_MODULES = {
    **{name: f"plugins.commands.{module}" for name, module in _COMMANDS.items()},
    **dict.fromkeys(_ERRORS, "core.errors"),
    "Step": "engine.progress",
}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import prunekit.core` stays light for plugins."""
    if name == "__version__":
        from importlib.metadata import version

        return version("prunekit")
    if name not in _MODULES:
        raise AttributeError(f"module 'prunekit' has no attribute {name!r}")
    from importlib import import_module

    from prunekit.engine.threads import spin_briefly

    spin_briefly()
    return getattr(import_module(f"prunekit.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
