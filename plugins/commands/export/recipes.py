"""Instructions for other tools to make the same pruned model: no weight is read or written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import ConfigError
from prunekit.core.problem import DENSE, Subset, words
from prunekit.core.registry import load
from prunekit.engine.escaping import comment_lines, shell_line, shell_word
from prunekit.engine.files import write_text
from prunekit.engine.variant import Variant, check_blocks, check_weights
from prunekit.hf.blocks import block_count
from prunekit.hf.checkpoint import Checkpoint, find
from prunekit.hf.layer_fields import without_blocks

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def write_recipe(variant: Variant, form: str, to: Path, dtype: str | None) -> None:
    """Write the instructions for the tool `form`, one of RECIPES.

    ConfigError where the tool would make another model of them, or where a search chose the blocks
    by other weights than the model has now.
    """
    checkpoint = find(variant.spec, load())
    config = checkpoint.config()
    check_blocks(variant.removed, block_count(config))
    if variant.run:
        check_weights(checkpoint.identity(), variant.run.result, variant.spec.model)
    write_text(to, RECIPES[form](variant, checkpoint, config, to, dtype))


def kept_ranges(removed: Subset, n_blocks: int) -> list[list[int]]:
    """The blocks that stay, as ranges without their ends.

    >>> kept_ranges(frozenset({2, 3, 6}), 8)
    [[0, 2], [4, 6], [7, 8]]
    """
    runs = groupby(range(n_blocks), key=removed.__contains__)
    kept = [list(blocks) for gone, blocks in runs if not gone]
    return [[blocks[0], blocks[-1] + 1] for blocks in kept]


def _mergekit(
    variant: Variant, checkpoint: Checkpoint, config: PretrainedConfig, to: Path, dtype: str | None
) -> str:
    """A passthrough merge of the ranges that stay, for mergekit 0.1."""
    import yaml

    if fields := _told_by_block(config, variant.removed):
        raise ConfigError(
            f"mergekit cannot make this model: it corrects the number of blocks only, and this "
            f"configuration also says block by block: {', '.join(fields)}. What it writes would "
            "not load; leave out --format, and prunekit writes the checkpoint itself"
        )
    if dtype is None and checkpoint.is_folder:  # of others mergekit keeps the dtypes of the files
        dtype = str(checkpoint.dtype()).removeprefix("torch.")
    recipe = {
        "slices": [
            {"sources": [{"model": _mergekit_name(checkpoint), "layer_range": kept}]}
            for kept in kept_ranges(variant.removed, block_count(config))
        ],
        "merge_method": "passthrough",
        **({"dtype": dtype} if dtype else {}),
    }
    remote = " --trust-remote-code" if checkpoint.trust_remote_code else ""
    head = [_title(variant, config), f"mergekit-yaml{remote} {shell_word(to.name)} PRUNED"]
    return comment_lines(head) + yaml.safe_dump(recipe, sort_keys=False, default_flow_style=None)


def _mergekit_name(checkpoint: Checkpoint) -> str | dict[str, Any]:
    """`name@revision`; a path in which `@` or `+` would be taken for more is told as a mapping."""
    if checkpoint.is_folder and re.search("[@+]", checkpoint.source):
        return {"model": {"path": checkpoint.source}}
    revision = None if checkpoint.is_folder else checkpoint.revision
    return f"{checkpoint.source}@{revision}" if revision else checkpoint.source


def _llama_cpp(
    variant: Variant, checkpoint: Checkpoint, config: PretrainedConfig, to: Path, dtype: str | None
) -> str:
    """A script that prunes a GGUF of the whole model."""
    if dtype is not None:
        raise ConfigError(
            f"--dtype {dtype}: llama-quantize takes the type when the script runs; leave it out"
        )
    told = _told_by_block(config, variant.removed)
    if fields := [name for name, value in told.items() if _differ(name, value, told)]:
        raise ConfigError(
            f"llama-quantize cannot prune this model: its blocks differ ({', '.join(fields)}), and "
            "a GGUF keeps that for the old numbers of the blocks. Leave out --format, and convert "
            "the checkpoint that prunekit writes"
        )
    head = [
        _title(variant, config),
        f"sh {shell_word(to.name)} MODEL.gguf PRUNED.gguf [TYPE]",
        "MODEL.gguf is the whole model, best in f16 or bf16. TYPE is a quantization that",
        "llama-quantize knows; without one the tensors are copied as they are.",
    ]
    prune = shell_line(["llama-quantize", "--prune-layers", words(variant.removed)])
    command = f'{prune} "$1" "$2" "${{3:-COPY}}"'
    return f"#!/bin/sh\n{comment_lines(head)}set -eu\n{command}\n"


RECIPES: dict[str, Callable[..., str]] = {"mergekit": _mergekit, "llama.cpp": _llama_cpp}


def _title(variant: Variant, config: PretrainedConfig) -> str:
    last = block_count(config) - 1
    return (
        f"Written by prunekit {version('prunekit')}: {variant.spec.model} without blocks "
        f"{words(variant.removed)} of blocks 0 to {last}"
    )


def _told_by_block(config: PretrainedConfig, removed: Subset) -> dict[str, Any]:
    """What the configuration says of single blocks and would have to say otherwise without these.

    Raises UnfitModel where that cannot be said at all.
    """
    before, after = (
        without_blocks(config, blocks).get_text_config().to_dict() for blocks in (DENSE, removed)
    )
    total = block_count(config)
    count = {total: total - len(removed)}
    return {
        name: value
        for name, value in before.items()
        if value != after.get(name) and not (isinstance(value, int) and value in count)
    }


def _differ(name: str, value: object, fields: Mapping[str, Any]) -> bool:
    """Whether a field says that blocks differ; of windows `layer_types`, where it is, says all."""
    if name == "max_window_layers" and "layer_types" in fields:
        return False
    return not isinstance(value, list) or len({repr(entry) for entry in value}) > 1
