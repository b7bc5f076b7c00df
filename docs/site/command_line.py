"""The reference of the command line: every command and flag of the plugins that are installed."""

from __future__ import annotations

import re
from typing import Any

from prunekit.cli.main import make_app
from prunekit.core.registry import load_commands


def reference() -> str:
    """Return all commands as Markdown, in the order of `prunekit --help`."""
    app = make_app(load_commands())
    return "\n".join(_command(name, command) for name, command in app.commands.items())


def _command(name: str, command: Any) -> str:
    panels: dict[str, list[Any]] = {}
    for parameter in command.params:
        panels.setdefault(parameter.rich_help_panel or "Options", []).append(parameter)
    tables = [_table(heading, flags) for heading, flags in panels.items()]
    return "\n\n".join([f"## prunekit {name}", _plain(command.help), *tables, ""])


def _table(heading: str, parameters: list[Any]) -> str:
    rows = [f"| {_name(parameter)} | {_meaning(parameter)} |" for parameter in parameters]
    return "\n".join([f"**{heading}**", "", "| | |", "|---|---|", *rows])


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{flag}`" for flag in sorted(parameter.opts, key=len, reverse=True))


def _meaning(parameter: Any) -> str:
    default = parameter.default
    shown = (
        "" if default in (None, False, "", ()) or callable(default) else f" Default: `{default}`."
    )
    return _plain(parameter.help or "") + shown


def _plain(text: str) -> str:
    """Return a help text without the markup of rich, for a cell of a table."""
    without = re.sub(r"(?<!\\)\[/?[a-z ]*\]", "", text).replace("\\[", "[")
    return without.replace("|", "\\|").replace("*", "\\*")
