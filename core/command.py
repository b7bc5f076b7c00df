"""A kind of plugin: a subcommand of `prunekit`."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Command(abc.ABC):
    """A subcommand of `prunekit`.

    The parameters of `run` become arguments and flags, as in Typer. If the command has `settings`,
    `options` or `plugin_options`, `run` also takes `given`, a mapping of what the user gave of them
    in the words of a configuration file, and if it has a parameter `registry`, all plugins.
    """

    name: ClassVar[str]
    paper: ClassVar[str | None] = None
    settings: ClassVar[Sequence[str]] = ()
    """settings of a search that are flags here too, such as `model`"""
    options: ClassVar[type | None] = None
    """a dataclass whose fields, made by `option`, are flags here too"""
    plugin_options: ClassVar[bool] = False
    """whether options of plugins are flags here too"""
    plugin_kinds: ClassVar[Sequence[str]] = ("searcher", "objective", "repair", "backend")
    """the kinds of these plugins"""
    defaults: ClassVar[Mapping[str, str]] = {}
    """the plugins that it takes, by kind, where nothing is given and a search takes others"""
    panel: ClassVar[str] = "Model"
    """the heading of these flags in the help"""
    group: ClassVar[str] = "More commands"
    """the heading of the command itself in the help of `prunekit`"""
    rank: ClassVar[int] = 1
    """its place there: the lower first, then by its name"""
    examples: ClassVar[Sequence[str]] = ()
    """command lines at the end of its help"""
    docs: ClassVar[str] = ""
    """the page about it, as `docs/evaluation.md`"""

    @abc.abstractmethod
    def run(self, *arguments: Any, **flags: Any) -> None:
        """Do the work, and print the result."""
