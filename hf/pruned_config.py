"""The `config.json` of a pruned checkpoint: the source's own, with the fields of blocks changed.

What transformers saves is worded as that release words it, without what that release takes for a
default. Older releases and other programs read other words and have other defaults, so a source is
never worded anew: keys, order and values stay, and what is changed is read back.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import UnfitModel
from prunekit.core.problem import Subset
from prunekit.hf.layer_fields import rewritten, text_config, without_blocks

if TYPE_CHECKING:
    from transformers import PretrainedConfig

OF_THE_PLACE = "_name_or_path"
"""What a configuration says of where it was read."""


def pruned_fields(
    source: Mapping[str, Any], config: PretrainedConfig, removed: Subset
) -> dict[str, Any]:
    """The content of a `config.json` without these blocks; `config` is how `source` reads.

    Keys are added only where what they stand for would read otherwise. Raises UnfitModel where
    the file cannot say which blocks stay.
    """
    fields = copy.deepcopy(dict(source))
    before, path = text_config(config)
    after, _ = text_config(without_blocks(config, removed))
    part = _change(fields, path, before, after, removed)
    wanted = _wanted(before, after, removed)
    for name in _misread(fields, config, wanted):
        part[name] = wanted[name]
    if wrong := _misread(fields, config, wanted):
        raise UnfitModel(
            f"its config.json cannot say which blocks stay: `{wrong[0]}` would not read as "
            f"{wanted[wrong[0]]!r}"
        )
    return fields


def _change(
    fields: dict[str, Any],
    path: tuple[str, ...],
    before: PretrainedConfig,
    after: PretrainedConfig,
    removed: Subset,
) -> dict[str, Any]:
    """Change what the file says of blocks, some in two places; returns the part of the blocks."""
    parts = nested(fields, path)
    own = parts[-1]
    known = before.to_dict()
    changed = rewritten({**known, **own}, before, removed)  # a cadence may need what is left out
    own.update((name, changed[name]) for name in changed if name in own)
    for part in parts:
        for name in part.keys() - (known.keys() - changed.keys()):
            was, becomes = getattr(before, name, None), getattr(after, name, None)
            if was == part[name] != becomes:  # an alias, or what follows from other fields
                part[name] = becomes
    return own


def nested(fields: dict[str, Any], path: tuple[str, ...]) -> list[dict[str, Any]]:
    """The whole and the parts on the way to the text configuration, as far as the file has them.

    Older files of configurations that are nested now are flat.
    """
    parts = [fields]
    for name in path:
        if isinstance(parts[-1].get(name), dict):
            parts.append(parts[-1][name])
    return parts


def _wanted(before: PretrainedConfig, after: PretrainedConfig, removed: Subset) -> dict[str, Any]:
    """How the text configuration must read: no field differs but those of blocks."""
    old, new = before.to_dict(), after.to_dict()
    names = rewritten(old, before, removed)
    return {
        name: new.get(name) if name in names else value
        for name, value in old.items()
        if name != OF_THE_PLACE
    }


def _misread(
    fields: Mapping[str, Any], config: PretrainedConfig, wanted: Mapping[str, Any]
) -> list[str]:
    read, _ = text_config(read_as(type(config), fields))
    found = read.to_dict()
    return [name for name, value in wanted.items() if found.get(name) != value]


def read_as(kind: type[PretrainedConfig], fields: Mapping[str, Any]) -> PretrainedConfig:
    """The configuration that transformers reads from a file with these fields."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(fields, file)
        file.flush()
        return kind.from_json_file(file.name)
