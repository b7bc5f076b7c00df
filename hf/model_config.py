"""The `config.json` of a pruned checkpoint: the source's own, with the fields of blocks changed.

What transformers saves is worded as that release words it, without what that release takes for a
default. Older releases and other programs read other words and have other defaults, so a source is
never worded anew: keys, order and values stay, and what is changed is read back.

Release 5 describes rotary embeddings by `rope_parameters` and calls a dtype `dtype`. Release 4
silently skips keys it does not know, so it would run a model with the default base and without its
scaling. Release 5 still reads the old keys, which makes it the judge: what is added for release 4
must read the same to release 5, alone and beside the new keys.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import UnfitModel
from prunekit.core.problem import Subset
from prunekit.hf.blocks import text_config
from prunekit.hf.checkpoint import Checkpoint
from prunekit.hf.layer_fields import rewritten, without_blocks
from prunekit.hf.side_files import in_style_of, without_code

if TYPE_CHECKING:
    from transformers import PretrainedConfig

FILE = "config.json"
DTYPES = ("dtype", "torch_dtype")
"""The keys of a dtype; every release reads the second."""


def config_json(checkpoint: Checkpoint, removed: Subset, dtype: str | None) -> str:
    """The text of `config.json` without these blocks: else that of the source, in its style.

    With a dtype, that is what it says. Raises UnfitModel if it cannot say which blocks stay.
    """
    text = (checkpoint.folder() / FILE).read_text(encoding="utf-8")
    config = checkpoint.config()
    fields = pruned_fields(json.loads(text), config, removed)
    if dtype is not None:
        _say_dtype(fields, config, dtype)
    add_old_style(fields, config)
    return in_style_of(text, fields if checkpoint.trust_remote_code else without_code(fields))


def _say_dtype(fields: dict[str, Any], config: PretrainedConfig, dtype: str) -> None:
    """Say it wherever the dtype of the whole is said; a part with a dtype of its own keeps that."""
    _, path = text_config(config)
    of_the_whole = {part.get(key) for part in nested(fields, path) for key in DTYPES} - {None}
    below = [fields[name] for name in config.sub_configs if isinstance(fields.get(name), dict)]
    for part in (fields, *below):
        part.update((key, dtype) for key in DTYPES if part.get(key) in of_the_whole)
    if not of_the_whole:
        fields[DTYPES[-1]] = dtype


OF_THE_PLACE = "_name_or_path"
"""The key that records where a configuration was read from."""


def pruned_fields(
    source: Mapping[str, Any], config: PretrainedConfig, removed: Subset
) -> dict[str, Any]:
    """The content of a `config.json` without these blocks; `config` is how `source` reads.

    Keys are added only where their value would read otherwise. Raises UnfitModel if
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
    """The required text configuration: only the fields of blocks may differ."""
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


FIRST_NEW = 5
FULL, SLIDING = "full_attention", "sliding_attention"
SHARE = "partial_rotary_factor"
OLD_TYPES = ("default", "linear", "dynamic", "yarn", "longrope", "llama3")
"""The `rope_type`s of release 4."""


def add_old_style(fields: dict[str, Any], config: PretrainedConfig) -> None:
    """Add the keys of release 4 to a `config.json` of release 5; one of release 4 stays as is."""
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
    """The old words for `rope_parameters`, those of the family; empty where there are none."""
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
    """True if the fields read as meant; a key unknown to the family becomes a field of its own.

    Fields that the family refuses, whatever it raises, do not.
    """
    try:
        return bool(read_as(kind, fields).to_dict() == meant)
    except Exception:
        return False


def _spellings(rope: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The spellings of release 4."""
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
