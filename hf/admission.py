"""Admit a checkpoint: one check of everything it says, before any library reads it.

A configuration can name other files, other repositories and code, and libraries follow it. It can
also say that the weights are not the numbers that they look like. A file can be a symbolic link.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prunekit.core.errors import CheckpointError
from prunekit.hf.files import check_links, read_object

ADAPTER, CONFIG, TOKENIZER = "adapter_config.json", "config.json", "tokenizer_config.json"
ELSEWHERE = ("configuration_files", "transformers_weights")
"""Keys that make transformers read other files than the usual ones."""
KERNELS = ("attn_implementation", "experts_implementation")
QUANTISED = ("quantization_config", "compression_config")
OWN_CODE = re.compile(r"\w+\.\w+")
"""A class in a file beside the configuration."""
PLAIN_JSON = re.compile(r"\w[\w.+=-]*\.json")


def admit(folder: Path, trust_remote_code: bool) -> None:
    """Raise CheckpointError if a checkpoint cannot be read as it is or leads out of its folder."""
    check_links(folder)
    _check_adapter(folder)
    if not (folder / CONFIG).is_file():
        raise CheckpointError(
            f"{folder} holds no config.json; expected a folder written by save_pretrained"
        )
    config = read_object(folder / CONFIG)
    _check_quantised(folder, config)
    _check_config(folder / CONFIG, config)
    tokenizer = read_object(folder / TOKENIZER) if (folder / TOKENIZER).is_file() else {}
    for name in _words(tokenizer.get("fast_tokenizer_files")):
        if not PLAIN_JSON.fullmatch(name):
            raise _leaving(folder / TOKENIZER, "fast_tokenizer_files", name)
    if trust_remote_code:
        for file, given in ((CONFIG, config), (TOKENIZER, tokenizer)):
            _check_code(folder / file, given)


def _check_adapter(folder: Path) -> None:
    """With peft installed, transformers adds an adapter to the weights beside it."""
    if (folder / ADAPTER).is_file():
        base = read_object(folder / ADAPTER).get("base_model_name_or_path")
        raise CheckpointError(
            f"{folder} holds an adapter of {base!r}; load both with peft, merge them with "
            f"`merge_and_unload()` and save the model, or, if weights beside it are merged, move "
            f"{ADAPTER} and the adapter's weights away"
        )


def _check_quantised(folder: Path, config: Mapping[str, Any]) -> None:
    for part in _parts(config):
        for name in QUANTISED:
            if (given := part.get(name)) is not None:
                how = given.get("quant_method", name) if isinstance(given, Mapping) else given
                raise CheckpointError(
                    f"{folder} is quantised ({how!r} in config.json), and only weights that are "
                    "not can be pruned; give the model as it was before, and quantise what comes "
                    "out"
                )


def _check_config(path: Path, config: Mapping[str, Any]) -> None:
    for part in _parts(config):
        for name in ELSEWHERE:
            if part.get(name):
                raise _leaving(path, name, part[name])
        for name in KERNELS:
            given = [word for key in (name, f"_{name}") for word in _words(part.get(key))]
            if any("/" in word for word in given):
                raise _leaving(path, name, given[0])


def _check_code(path: Path, given: Mapping[str, Any]) -> None:
    """Refuse code from elsewhere: users who trust a model's code have read it in its folder."""
    for part in _parts(given):
        for name in _words(part.get("auto_map")):
            if not OWN_CODE.fullmatch(name):
                raise CheckpointError(
                    f"{path}: `auto_map` names {name!r}, code that is not in this folder; copy the "
                    "file there, read it, and name it as module.Class"
                )


def _leaving(path: Path, key: str, value: object) -> CheckpointError:
    return CheckpointError(
        f"{path}: `{key}` names {value!r}; only the usual files of this folder are read: remove "
        "that line, if the model is right without it"
    )


def _parts(given: Any) -> Iterator[Mapping[str, Any]]:
    """A configuration, and all that are in it."""
    if isinstance(given, Mapping):
        yield given
    below = (
        given.values() if isinstance(given, Mapping) else given if isinstance(given, list) else ()
    )
    for part in below:
        yield from _parts(part)


def _words(value: Any) -> Iterator[str]:
    """All texts in a value."""
    if isinstance(value, str):
        yield value
    below = value.values() if isinstance(value, Mapping) else value
    if isinstance(below, list) or isinstance(value, Mapping):
        for part in below:
            yield from _words(part)
