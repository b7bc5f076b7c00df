"""Make a subcommand of a command plugin."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

from prunekit.cli.flags import flags_of, with_flags
from prunekit.core.errors import ConfigError
from prunekit.core.registry import Entry, Registry


def command_of(entry: Entry, registry: Registry) -> TyperCommand:
    """Return the subcommand. Raises PluginError or RuntimeError if its flags cannot be made."""
    flags = flags_of(entry.cls, registry)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    cls = PluginFlagsCommand if flags else TyperCommand
    app.command(entry.name, cls=cls)(with_flags(entry.cls, flags, registry))
    command: Any = typer.main.get_command(app)
    return command  # type: ignore[no-any-return]


class PluginFlagsCommand(TyperCommand):
    """A command whose help has room for long flags, and that explains missing plugins."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help; `--no-...` has no column, as the text mentions it when it matters."""
        for parameter in self.params:
            parameter.secondary_opts = []
        super().format_help(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the flags. Raises ConfigError if one belongs to a plugin that is not installed."""
        flags = [flag for parameter in self.params for flag in parameter.opts]
        known = {plugin for plugin in map(_plugin, flags) if plugin}
        for word in args:
            name = _plugin(word)
            if known and name and name not in known | {f"no-{plugin}" for plugin in known}:
                registry: Registry = ctx.find_root().obj
                raise ConfigError(
                    f"{word.partition('=')[0]}: no plugin with options is called {name!r}."
                    f"{registry.advice(name, known)}"
                )
        return super().parse_args(ctx, args)


def _plugin(word: str) -> str:
    """Return the plugin of a flag.

    >>> _plugin("--genetic.population=8"), _plugin("--budget"), _plugin("a.txt")
    ('genetic', '', '')
    """
    flag = word.partition("=")[0]
    return flag[2:].rpartition(".")[0] if flag.startswith("--") else ""
