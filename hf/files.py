"""The files of a checkpoint: fetch, admit and read them.

Nothing outside a checkpoint's folder is read, so `admit` runs before any library. Archives and
repositories can contain links to any file of the machine they are unpacked on, whose contents would
end up in the export. A folder of links that the user made to files on another disk looks the same,
so it is refused too, and before a search rather than after it, when the tokenizer is copied. A link
to the folder as a whole is followed, since the user named it. A configuration can refer to other
files, other repositories and code, which libraries would load, or declare that the weights are
quantised.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prunekit.core.errors import CheckpointError

SMALL = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "*.spm", "*.bpe", "*.py", "*.md")
"""All files of a checkpoint except the weights."""


@functools.cache
def fetch(name: str, revision: str | None, patterns: tuple[str, ...]) -> Path:
    """Fetch the files that match; return their folder in the cache, named after the commit.

    A branch is resolved once, so that a process sees only one commit of it.
    """
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))


BELOW = ("additional_chat_templates/*", "LICENSES/*.txt")
"""Files that are read or copied from a subfolder."""
TERMS = re.compile(
    r"(.*[_-])?(licen[cs]es?|notices?|copying|copyright|patents|use[_-]?policy|terms([_-]of[_-]use)?)"
    r"([_-][\w.-]*)?",
    re.IGNORECASE,
)
TEXTS = re.compile(r"(\.(txt|md|rst|html|pdf|\d+))?", re.IGNORECASE)


def is_of_terms(path: Path) -> bool:
    """Return True for the text of a licence, a notice or a policy of use.

    >>> [is_of_terms(Path(name)) for name in ("LICENSE", "USE_POLICY.md", "license_check.py")]
    [True, True, False]
    """
    return bool(TERMS.fullmatch(path.stem) and TEXTS.fullmatch(path.suffix))


def is_read(path: Path) -> bool:
    """Return True for a file that may be read or copied; others beside it may be links."""
    return is_of_terms(path) or any(map(path.match, ("*.safetensors", *SMALL)))


def _check_files(folder: Path) -> None:
    """Raise CheckpointError if a file that may be read links out of the folder, or is a pointer.

    Pointers to weights that are not used are no hindrance.
    """
    for path in sorted([*folder.iterdir(), *(path for b in BELOW for path in folder.glob(b))]):
        if is_read(path):
            check_inside(path, folder)
            if path.suffix != ".safetensors" and path.is_file():
                check_fetched(path)


def check_inside(path: Path, folder: Path) -> None:
    """Raise CheckpointError if one file links out of the folder and out of the hub's cache."""
    folder = folder.resolve()
    places = [folder]
    if folder.parent.name == "snapshots":
        places.append(folder.parents[1] / "blobs")
    try:
        target = path.resolve()
        is_loop = target.is_symlink()  # Python 3.13 leaves a loop as it is
    except (RuntimeError, OSError):
        is_loop = True
    if is_loop:
        raise CheckpointError(f"{path} is a link that leads nowhere; fetch the file again")
    if not any(target.is_relative_to(place) for place in places):
        raise CheckpointError(
            f"{path} is a link to a place outside of its folder, and is not read from there; copy "
            "the file itself to its place, or give the folder where it lies"
        )


POINTER = b"version https://git-lfs"
LARGEST_POINTER = 1024


def read_object(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file. Raises CheckpointError if it holds anything else."""
    check_fetched(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}); fetch it again") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: expected a JSON object, {{...}}; fetch it again")
    return found


def check_fetched(path: Path) -> None:
    """Raise CheckpointError if a file is only a git-lfs pointer to the real one."""
    if path.stat().st_size > LARGEST_POINTER:
        return
    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise CheckpointError(
                f"{path} is a pointer of git-lfs, not the file itself; run `git lfs pull` in its "
                "folder"
            )


SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
VOCABULARIES = (
    "tokenizer*.json",
    "tokenizer.model*",
    "*vocab*.json",
    "*vocab*.txt",
    "merges.txt",
    "normalizer.json",
    "dict.txt",
    "emoji.json",
    "byte_maps.json",
    "prophetnet.tokenizer",
    "word_*.json",
    "tekken.json",
    "*.tiktoken",
    "*.model",
    "*.spm",
    "*.codes",
)
TOKENIZERS = (*SETTINGS, *VOCABULARIES)
"""The files that define a tokenizer."""


def defines_tokenizer(folder: Path) -> bool:
    """Return True if a folder holds more of a tokenizer than settings, or names code for one."""
    found = {path.name for pattern in VOCABULARIES for path in folder.glob(pattern)}
    settings = read_object(folder / TOKENIZER) if (folder / TOKENIZER).is_file() else {}
    return not found <= set(SETTINGS) or "auto_map" in settings


ADAPTER, CONFIG, TOKENIZER = "adapter_config.json", "config.json", "tokenizer_config.json"
ELSEWHERE = ("configuration_files", "transformers_weights")
"""Keys that redirect transformers to other files."""
KERNELS = ("attn_implementation", "experts_implementation")
QUANTISED = ("quantization_config", "compression_config")
OWN_CODE = re.compile(r"\w+\.\w+")
"""A class in a file beside the configuration."""
PLAIN_JSON = re.compile(r"\w[\w.+=-]*\.json")


def admit(folder: Path, trust_remote_code: bool) -> None:
    """Raise CheckpointError if a checkpoint is unsuitable or refers outside its folder."""
    _check_files(folder)
    _check_adapter(folder)
    if not (folder / CONFIG).is_file():
        raise CheckpointError(_no_config(folder))
    config = read_object(folder / CONFIG)
    written_by = config.get("architectures")
    if written_by is not None and [*_words(written_by)] != written_by:
        raise CheckpointError(
            f"{folder / CONFIG}: `architectures` must be a list of names, not {written_by!r:.100}; "
            "fetch it again"
        )
    _check_quantised(folder, config)
    _check_config(folder / CONFIG, config)
    tokenizer = read_object(folder / TOKENIZER) if (folder / TOKENIZER).is_file() else {}
    for name in _words(tokenizer.get("fast_tokenizer_files")):
        if not PLAIN_JSON.fullmatch(name):
            raise _leaving(folder / TOKENIZER, "fast_tokenizer_files", name)
    if trust_remote_code:
        for file, given in ((CONFIG, config), (TOKENIZER, tokenizer)):
            _check_code(folder / file, given)


def _no_config(folder: Path) -> str:
    """Explain that a folder is no checkpoint, and name those inside, as in the hub's cache."""
    found = sorted(
        p.parent for below in ("*", "snapshots/*") for p in folder.glob(f"{below}/{CONFIG}")
    )
    if found:
        inside = " or ".join(map(str, found[:3])) + (" or others" if len(found) > 3 else "")
        return f"{folder} holds no config.json itself; give the folder inside that does: {inside}"
    return f"{folder} holds no config.json; expected a folder written by save_pretrained"


def _check_adapter(folder: Path) -> None:
    """Refuse peft adapters: with peft installed, transformers would merge them on load."""
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
                raise quantised(folder, f"{how!r} in config.json")


def quantised(folder: Path, how: str) -> CheckpointError:
    """Return the error for quantised weights."""
    return CheckpointError(
        f"{folder} is quantised ({how}), and only weights that are not can be pruned; give the "
        "model as it was before, and quantise what comes out"
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
    """Refuse code from other repositories: users can only vet the code in the folder."""
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
    """Yield a configuration and all configurations nested in it."""
    if isinstance(given, Mapping):
        yield given
    below = (
        given.values() if isinstance(given, Mapping) else given if isinstance(given, list) else ()
    )
    for part in below:
        yield from _parts(part)


def _words(value: Any) -> Iterator[str]:
    """Yield all strings in a value."""
    if isinstance(value, str):
        yield value
    below = value.values() if isinstance(value, Mapping) else value
    if isinstance(below, list) or isinstance(value, Mapping):
        for part in below:
            yield from _words(part)
