"""A command that has flags of plugins."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from prunekit.core.errors import ConfigError
from prunekit.core.registry import load


class PluginFlagsCommand(TyperCommand):
    """Its help has room for long flags, and it says why those of a plugin that is gone are gone."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help; `--no-...` has no column, since where it is needed, words say it."""
        for parameter in self.params:
            parameter.secondary_opts = []
        super().format_help(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the flags; ConfigError where one is of no plugin that is there."""
        flags = [flag for parameter in self.params for flag in parameter.opts]
        known = {plugin for plugin in map(_plugin, flags) if plugin}
        for word in args:
            name = _plugin(word)
            if known and name and name not in known | {f"no-{plugin}" for plugin in known}:
                raise ConfigError(
                    f"{word.partition('=')[0]}: no plugin with options is called {name!r}."
                    f"{load().advice(name, known)}"
                )
        return super().parse_args(ctx, args)


def _plugin(word: str) -> str:
    """The plugin of a flag.

    >>> _plugin("--genetic.population=8"), _plugin("--budget"), _plugin("a.txt")
    ('genetic', '', '')
    """
    flag = word.partition("=")[0]
    return flag[2:].rpartition(".")[0] if flag.startswith("--") else ""
