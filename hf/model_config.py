"""The `config.json` of a pruned checkpoint: that of the source, with the per-block fields changed.

What transformers saves uses the keys of that release and omits its defaults. Older releases and
other programs read other keys and have other defaults, so a source is never saved anew: keys, order
and values stay, and every change is read back.

Release 5 describes rotary embeddings by `rope_parameters` and calls a dtype `dtype`. Release 4
silently ignores unknown keys, so it would run a model with the default base and without its
scaling. Release 5 still reads the old keys, so it can verify them: the keys added for release 4
must read the same in release 5, alone and beside the new keys.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import UnfitModel
from prunekit.core.problem import Subset
from prunekit.hf.blocks import field_of, text_config
from prunekit.hf.checkpoint import Checkpoint
from prunekit.hf.layer_fields import rewritten, without_blocks
from prunekit.hf.side_files import in_style_of, without_code

if TYPE_CHECKING:
    from transformers import PretrainedConfig

FILE = "config.json"
DTYPES = ("dtype", "torch_dtype")
"""The keys of a dtype; every release reads the second."""


def config_json(checkpoint: Checkpoint, removed: Subset, dtype: str | None) -> str:
    """Return the text of `config.json` without these blocks, otherwise that of the source.

    With a dtype, it names that one. Raises UnfitModel if it cannot express the remaining blocks.
    """
    text = (checkpoint.folder() / FILE).read_text(encoding="utf-8")
    config = checkpoint.config()
    fields = pruned_fields(json.loads(text), config, removed)
    if dtype is not None:
        _say_dtype(fields, config, dtype)
    add_old_style(fields, config)
    return in_style_of(text, fields if checkpoint.trust_remote_code else without_code(fields))


def _say_dtype(fields: dict[str, Any], config: PretrainedConfig, dtype: str) -> None:
    """Set the dtype wherever that of the whole is given; parts with another one keep it."""
    _, path = text_config(config)
    of_the_whole = {part.get(key) for part in nested(fields, path) for key in DTYPES} - {None}
    below = [fields[name] for name in config.sub_configs if isinstance(fields.get(name), dict)]
    for part in (fields, *below):
        part.update((key, dtype) for key in DTYPES if part.get(key) in of_the_whole)
    if not of_the_whole:
        fields[DTYPES[-1]] = dtype


OF_THE_PLACE = "_name_or_path"
"""The key with the path from which a configuration was read."""


def pruned_fields(
    source: Mapping[str, Any], config: PretrainedConfig, removed: Subset
) -> dict[str, Any]:
    """Return the content of a `config.json` without these blocks; `config` is `source`, read.

    Keys are added only if their value would otherwise be read differently. Raises UnfitModel if
    the file cannot express the remaining blocks.
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
    """Change the per-block fields, some in two places; return the part with the blocks."""
    parts = nested(fields, path)
    own = parts[-1]
    known = before.to_dict()
    changed = rewritten({**known, **own}, before, removed)  # a cadence may need omitted fields
    own.update((name, changed[name]) for name in changed if name in own)
    for part in parts:
        for name in part.keys() - (known.keys() - changed.keys()):
            was, becomes = field_of(before, name), field_of(after, name)
            if was == part[name] != becomes:  # an alias, or derived from other fields
                part[name] = becomes
    return own


def nested(fields: dict[str, Any], path: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the whole and the parts on the path to the text configuration, if present.

    Older files can be flat where the configuration is nested today.
    """
    parts = [fields]
    for name in path:
        if isinstance(parts[-1].get(name), dict):
            parts.append(parts[-1][name])
    return parts


def _wanted(before: PretrainedConfig, after: PretrainedConfig, removed: Subset) -> dict[str, Any]:
    """Return the required text configuration: only per-block fields may differ."""
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
    """Return the configuration that transformers reads from a file with these fields."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(fields, file)
        file.flush()
        return kind.from_json_file(file.name)


FIRST_NEW = 5
FULL, SLIDING = "full_attention", "sliding_attention"
SHARE = "partial_rotary_factor"
OLD_TYPES = ("default", "linear", "dynamic", "yarn", "longrope", "llama3")
"""The `rope_type`s of release 4."""


def add_old_style(fields: dict[str, Any], config: PretrainedConfig) -> None:
    """Add the keys of release 4 to a `config.json` of release 5; leave others unchanged."""
    release = str(fields.get("transformers_version", "")).partition(".")[0]
    if not release.isdecimal() or int(release) < FIRST_NEW:
        return
    text, path = text_config(config)
    own = nested(fields, path)[-1]
    for part in (fields, own):
        if isinstance(part.get("dtype"), str):
            part.setdefault("torch_dtype", part["dtype"])
    if isinstance(own.get("rope_parameters"), dict):
        own.update(_rope(own, type(text)))


def _rope(fields: Mapping[str, Any], kind: type[PretrainedConfig]) -> Mapping[str, Any]:
    """Return the keys of release 4 for `rope_parameters`, as the family reads them, if any."""
    without = {name: value for name, value in fields.items() if name != "rope_parameters"}
    meant = read_as(kind, fields).to_dict()
    for words in _spellings(fields["rope_parameters"]):
        given = ({**without, **words}, {**fields, **words})
        if (words["rope_scaling"] or {}).get("rope_type", "default") not in OLD_TYPES:
            continue
        if all(_reads(kind, t, meant) for t in given):
            return words
    return {}


def _reads(kind: type[PretrainedConfig], fields: Mapping[str, Any], meant: object) -> bool:
    """Return True if the fields read as meant; unknown keys become fields of their own.

    Fields that the family refuses, with any error, do not.
    """
    try:
        return bool(read_as(kind, fields).to_dict() == meant)
    except Exception:
        return False


def _spellings(rope: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the spellings of release 4."""
    by_kind = isinstance(rope.get(FULL), dict) and isinstance(rope.get(SLIDING), dict)
    one = rope[FULL] if by_kind else rope
    base, share = one.get("rope_theta"), one.get(SHARE)
    words = {name: value for name, value in one.items() if name not in ("rope_theta", SHARE)}
    scaling = {"rope_scaling": None if words == {"rope_type": "default"} else words}
    if by_kind:
        local = rope[SLIDING].get("rope_theta")
        yield {"rope_theta": base, "rope_local_base_freq": local, **scaling}
        yield {"global_rope_theta": base, "local_rope_theta": local, **scaling}
    if share is not None:
        yield {"rope_theta": base, SHARE: share, **scaling}
        yield {"rotary_emb_base": base, "rotary_pct": share, **scaling}
    yield {"rope_theta": base, **scaling}
