"""Write recipes from which other tools make the pruned model, without reading its weights."""

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
    """Write the recipe for the tool `form`, one of RECIPES.

    Raises ConfigError if the tool would make a different model from it, or if the weights have
    changed since a search chose the blocks.
    """
    if variant.spec.repairing:
        raise ConfigError(
            f"a recipe for {form} copies weights as they are, and this run repaired some; omit "
            "--format, and prunekit writes the checkpoint itself"
        )
    checkpoint = find(variant.spec, load())
    config = checkpoint.config()
    check_blocks(variant.removed, block_count(config))
    if variant.run:
        check_weights(checkpoint.identity(), variant.run.result, variant.spec.model)
    write_text(to, RECIPES[form](variant, checkpoint, config, to, dtype))


def kept_ranges(removed: Subset, n_blocks: int) -> list[list[int]]:
    """Return the blocks that stay, as half-open ranges.

    >>> kept_ranges(frozenset({2, 3, 6}), 8)
    [[0, 2], [4, 6], [7, 8]]
    """
    runs = [(gone, list(run)) for gone, run in groupby(range(n_blocks), removed.__contains__)]
    return [[run[0], run[-1] + 1] for gone, run in runs if not gone]


def _mergekit(
    variant: Variant, checkpoint: Checkpoint, config: PretrainedConfig, to: Path, dtype: str | None
) -> str:
    """Write a passthrough merge of the ranges that stay, for mergekit 0.1."""
    import yaml

    if fields := _fields_by_block(config, variant.removed):
        raise ConfigError(
            "mergekit cannot make this model: it updates only the number of blocks, and this "
            f"configuration has fields block by block: {', '.join(fields)}. Its output would not "
            "load; omit --format, and prunekit writes the checkpoint itself"
        )
    if dtype is None and checkpoint.is_folder:  # else mergekit keeps the files' dtypes
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
    """Return `name@revision`, or a mapping for a path in which `@` or `+` would be misread."""
    if checkpoint.is_folder and re.search("[@+]", checkpoint.source):
        return {"model": {"path": checkpoint.source}}
    revision = None if checkpoint.is_folder else checkpoint.revision
    return f"{checkpoint.source}@{revision}" if revision else checkpoint.source


def _llama_cpp(
    variant: Variant, checkpoint: Checkpoint, config: PretrainedConfig, to: Path, dtype: str | None
) -> str:
    """Write a script that prunes a GGUF of the whole model."""
    if dtype is not None:
        raise ConfigError(
            f"--dtype {dtype}: llama-quantize takes the type when the script runs; omit --dtype"
        )
    fields = _fields_by_block(config, variant.removed)
    if differing := [name for name, value in fields.items() if _differ(name, value, fields)]:
        raise ConfigError(
            f"llama-quantize cannot prune this model: its blocks differ ({', '.join(differing)}), "
            "and the GGUF would keep that by their old numbers. Omit --format, and convert the "
            "checkpoint that prunekit writes"
        )
    head = [
        _title(variant, config),
        f"sh {shell_word(to.name)} MODEL.gguf PRUNED.gguf [TYPE]",
        "MODEL.gguf is the whole model, preferably in f16 or bf16. TYPE is a quantization type",
        "of llama-quantize; without one the tensors are copied unchanged.",
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


def _fields_by_block(config: PretrainedConfig, removed: Subset) -> dict[str, Any]:
    """Return the fields, other than counts of blocks, that change when these blocks are removed.

    Raises UnfitModel if no configuration can describe the result.
    """
    before, after = (
        without_blocks(config, blocks).get_text_config().to_dict() for blocks in (DENSE, removed)
    )
    total = block_count(config)
    return {
        name: value
        for name, value in before.items()
        if value != after.get(name) and not (isinstance(value, int) and value == total)
    }


def _differ(name: str, value: object, fields: Mapping[str, Any]) -> bool:
    """Return whether blocks differ in a field; `layer_types` supersedes `max_window_layers`."""
    if name == "max_window_layers" and "layer_types" in fields:
        return False
    return not isinstance(value, list) or len({repr(entry) for entry in value}) > 1
