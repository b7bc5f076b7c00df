"""Say in the words of transformers 4 what a configuration says in those of transformers 5.

Since release 5 rotary embeddings are described by `rope_parameters`, and a dtype is called `dtype`.
Release 4 skips words it does not know, so a model runs there with the default base and without its
scaling, and nothing is said. Release 5 still reads the old words, which makes it the judge: what is
added here must read the same to it, alone and beside the new words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prunekit.hf.layer_fields import text_config
from prunekit.hf.pruned_config import nested, read_as

if TYPE_CHECKING:
    from transformers import PretrainedConfig

FIRST_NEW = 5
FULL, SLIDING = "full_attention", "sliding_attention"
SHARE = "partial_rotary_factor"
OLD_TYPES = ("default", "linear", "dynamic", "yarn", "longrope", "llama3")
"""The `rope_type`s of release 4."""


def add_old_style(fields: dict[str, Any], config: PretrainedConfig) -> None:
    """Add to a `config.json` of release 5 what release 4 can be told; one of release 4 stays."""
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
        told = ({**without, **words}, {**fields, **words})
        if (words["rope_scaling"] or {}).get("rope_type", "default") not in OLD_TYPES:
            continue
        if all(_reads(kind, t, meant) for t in told):
            return words
    return {}


def _reads(kind: type[PretrainedConfig], fields: Mapping[str, Any], meant: object) -> bool:
    """Whether the fields read so; a word that the family does not know becomes a field of its own.

    What the family refuses, whatever it raises, it cannot be told.
    """
    try:
        return bool(read_as(kind, fields).to_dict() == meant)
    except Exception:
        return False


def _spellings(rope: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What families of release 4 may have called it."""
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
