"""Make a subcommand of a command plugin."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.markup import escape
from typer.core import TyperCommand

from prunekit.cli.flags import KINDS, flags_of, with_flags
from prunekit.core.command import Command
from prunekit.core.errors import ConfigError
from prunekit.core.registry import Entry, Registry
from prunekit.engine.config import Settings

HELP = {"help_option_names": ["-h", "--help"]}
WORDS = "words"
"""Where the arguments of a command are kept for its help."""


def command_of(entry: Entry, registry: Registry) -> TyperCommand:
    """Return the subcommand. Raises PluginError or RuntimeError if its flags cannot be made."""
    flags = flags_of(entry.cls, registry)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    cls = PluginFlagsCommand if flags else TyperCommand
    made = app.command(
        entry.name,
        cls=cls,
        help=in_paragraphs(inspect.getdoc(entry.cls) or ""),
        epilog=_ending(entry.cls),
        context_settings=HELP,
        rich_help_panel=entry.cls.group,
    )
    made(with_flags(entry.cls, flags, registry))
    command: Any = typer.main.get_command(app)
    command.rich_help_panel = entry.cls.group
    command.defaults = entry.cls.defaults
    return command  # type: ignore[no-any-return]


def in_paragraphs(text: str) -> str:
    r"""Return a docstring with a line for each paragraph, which a terminal wraps by its width.

    >>> in_paragraphs("Find it.\n\nIn a text\nof lines.")
    'Find it.\n\nIn a text of lines.'
    """
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _ending(command: type[Command]) -> str | None:
    """Return the end of a help: examples, and where there is more."""
    shown = [f"[bold]{escape(line)}[/]" for line in command.examples]
    if command.docs:
        shown.append(f"More: {escape(command.docs)}")
    return "\n\n".join(shown) or None


class PluginFlagsCommand(TyperCommand):
    """A command whose help has room for long flags, and that explains missing plugins."""

    defaults: Mapping[str, str] = {}
    """plugins that are taken, by kind, where nothing is given"""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, with the flags of the chosen plugins alone.

        `--no-...` has no column, as the text mentions it when it matters.
        """
        hidden: set[str] = set()
        chosen = _chosen(ctx.meta.get(WORDS, ()), self.defaults)
        parameters: list[Any] = self.params
        for parameter in parameters:
            parameter.secondary_opts = []
            kind, _, label = (parameter.rich_help_panel or "").partition(" ")
            if kind in chosen and label != chosen[kind]:
                parameter.hidden = True
                hidden.add(f"--{kind} NAME")
        if hidden:
            hint = f"Flags of another plugin: {' or '.join(sorted(hidden))} with --help."
            self.epilog = "\n\n".join(filter(None, [hint, self.epilog]))
        super().format_help(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the flags. Raises ConfigError if one belongs to a plugin that is not installed."""
        ctx.meta[WORDS] = tuple(args)
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


def _chosen(words: Sequence[str], defaults: Mapping[str, str]) -> dict[str, str]:
    """Return the plugin of each kind: the one that the arguments name, else the default.

    >>> _chosen(["--searcher", "beam", "--objective=kl"], {})["objective"]
    'kl'
    """
    chosen = {kind: str(vars(Settings)[kind]) for kind in KINDS} | dict(defaults)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        flag, equals, value = word.partition("=")
        if flag.startswith("--") and flag[2:] in chosen:
            chosen[flag[2:]] = value if equals else following
    return chosen


def _plugin(word: str) -> str:
    """Return the plugin of a flag.

    >>> _plugin("--genetic.population=8"), _plugin("--budget"), _plugin("a.txt")
    ('genetic', '', '')
    """
    flag = word.partition("=")[0]
    return flag[2:].rpartition(".")[0] if flag.startswith("--") else ""
