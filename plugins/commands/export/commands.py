"""The command lines that repeat what was done."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prunekit.core.options import flag_name, no_flag_name, options_of
from prunekit.core.registry import Registry
from prunekit.engine.config import SearchConfig, Settings, chosen_plugins
from prunekit.engine.escaping import shell_line


def search_command(config: SearchConfig, registry: Registry, **instead: Any) -> str:
    """The `prunekit search` that this configuration stands for; what is as by default is left out.

    `instead` holds settings that are told otherwise than the configuration has them.
    """
    settings = dataclasses.replace(config.settings, **instead)
    words = ["prunekit", "search", *_flags((), dataclasses.asdict(settings), Settings)]
    chosen = chosen_plugins(config.settings, config.options, registry)
    for name, values in config.options.items():
        words += _flags((name,), values, chosen[name].cls)
    return shell_line(words)


def export_command(model: str, removed: Iterable[int]) -> str:
    """The `prunekit export` of blocks that were named by hand."""
    blocks = ",".join(map(str, sorted(removed)))
    return shell_line(["prunekit", "export", "--model", model, "--remove", blocks])


def _flags(above: tuple[str, ...], values: Mapping[str, Any], cls: type) -> Iterator[str]:
    for option in options_of(cls):
        value = values.get(option.name, option.default)
        if value == option.default:
            continue
        if option.kind is bool:
            name = (*above, option.name)
            yield flag_name(*name) if value else no_flag_name(*name)
        else:
            yield from (flag_name(*above, option.name), str(value))
