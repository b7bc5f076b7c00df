"""Turn a GGUF file into a checkpoint folder: once, in the cache of the Hugging Face libraries.

transformers dequantises the weights and rebuilds the tokenizer, which takes a minute or two. The
folder is named after a digest of the file, so that a copy elsewhere is the same model, and after
the way that prunekit reads it, so that what an earlier version made of it is not taken for it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
import os
import shutil
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prunekit.core.errors import CheckpointError, Remark, StorageError, one_line
from prunekit.hf.blocks import field_of
from prunekit.hf.gguf_file import GgufFile, read_gguf
from prunekit.hf.gguf_rope import is_scaled, rope_scaling

SUFFIX = ".gguf"
READING = 1
"""Raise it with each change of the model that is made of a file."""
ALONE = "model.gguf"
PARTIAL, OLD = ".partial-", 86_400
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
SPLIT = "split.count"
PIECE = 2**24
UNQUANTISED = {0: "float32", 1: "float16", 30: "bfloat16"}
"""Types of ggml that are stored as they are, as torch names them."""


def is_gguf(model: str) -> bool:
    """Return whether a model is named as a GGUF file.

    >>> is_gguf("models/tiny.gguf"), is_gguf("owner/tiny")
    (True, False)
    """
    return model.lower().endswith(SUFFIX)


def checkpoint_of_gguf(path: Path) -> Path:
    """Return the folder of the file's checkpoint, which is made if it is not there yet.

    Raises CheckpointError if the file cannot be read, or the package gguf is missing.
    """
    from huggingface_hub.constants import HF_ASSETS_CACHE

    file = checked_gguf(path)
    stat = path.stat()
    digest = _digest(str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    folder = Path(HF_ASSETS_CACHE) / "prunekit" / "gguf" / f"{digest}-{READING}"
    if not folder.is_dir():
        with _alone_at(folder):
            if not folder.is_dir():  # another process may just have made it
                _convert(file, folder)
    return folder


@contextlib.contextmanager
def _alone_at(folder: Path) -> Iterator[None]:
    """Wait until no other process converts the same file."""
    from filelock import FileLock

    with _writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_suffix(".lock"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@functools.cache
def _digest(path: str, size: int, time: int) -> str:
    """Digest a file that is not changed while it keeps its size and time."""
    digest = hashlib.blake2b(digest_size=16)
    with Path(path).open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def checked_gguf(path: Path) -> GgufFile:
    """Read the metadata of a file that holds one whole model which transformers can read.

    Raises CheckpointError with the reason if it does not, or if the package gguf is missing.
    """
    file = read_gguf(path)
    parts = file.number(SPLIT)
    if parts is not None and parts > 1:
        raise CheckpointError(
            f"{path} is one of {parts} parts; join them with llama.cpp's `llama-gguf-split --merge`"
        )
    if not file.tensors:
        raise CheckpointError(f"{path} holds no weights, only a vocabulary; give a whole model")
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    name = file.architecture
    if name not in GGUF_SUPPORTED_ARCHITECTURES:
        import transformers

        raise CheckpointError(
            f"{path} has the architecture {name[:40]!r}, which transformers "
            f"{transformers.__version__} does not read from GGUF; give a folder with its weights"
        )
    return file


def dtype_of_gguf(file: GgufFile) -> str:
    """Return how most of its matrices are stored; bfloat16 if they are quantised."""
    kinds: Counter[int] = Counter()
    for tensor in file.tensors:
        if len(tensor.shape) > 1:
            kinds[tensor.kind] += tensor.size
    ((kind, _),) = kinds.most_common(1) or [(1, 0)]
    return UNQUANTISED.get(kind, "bfloat16")


def model_of_gguf(file: GgufFile, dtype: str) -> Any:
    """Let transformers load and dequantise the model.

    Raises CheckpointError if it cannot, or leaves out what the file says of its blocks.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GgufConfig

    with _alone(file.path) as folder, _reading(file.path), _silent():
        config = AutoConfig.from_pretrained(folder, gguf_file=ALONE)
        scaling, rope = rope_scaling(file), field_of(config, "rope_parameters") or {}
        if scaling and "rope_theta" in rope:  # others have a kind of their own for each block
            config.rope_parameters = {**rope, **scaling}
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            gguf_file=ALONE,
            dtype=getattr(torch, dtype),
            quantization_config=GgufConfig(dequantize=True),
        )
    _check_understood(file, model.config.to_dict())
    return model


def _check_understood(file: GgufFile, config: Mapping[str, Any]) -> None:
    """Raise CheckpointError for scaled rotary embeddings and kinds of blocks that were left out."""
    left_out = []
    rope = config.get("rope_parameters") or {}
    if is_scaled(file) and rope.get("rope_type", "default") == "default":
        left_out.append("the scaling of its rotary embeddings")
    pattern = file.fields.get(f"{file.architecture}.attention.sliding_window_pattern")
    kinds = [kind == "sliding_attention" for kind in config.get("layer_types") or ()]
    if pattern and kinds and pattern.value != kinds and isinstance(pattern.value, list):
        left_out.append("which of its blocks have sliding attention")
    if left_out:
        raise CheckpointError(
            f"{file.path}: transformers reads from GGUF no word of {' and '.join(left_out)}, and "
            "would make another model of it; give a folder with its weights"
        )


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[Path]:
    """Yield a folder with a link to the file alone: libraries read what lies beside a file, too."""
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(os.path.abspath(path), Path(folder) / ALONE)
        yield Path(folder)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Hide the bar of transformers, which has no option for that."""
    from transformers import modeling_gguf_pytorch_utils

    module: Any = modeling_gguf_pytorch_utils

    shown = module.tqdm
    module.tqdm = functools.partial(shown, disable=True)
    try:
        yield
    finally:
        module.tqdm = shown


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn the many errors of libraries into one sentence."""
    try:
        yield
    except Exception as error:
        raise CheckpointError(
            f"{path}: transformers cannot read it ({one_line(error)}); give a folder with its "
            "weights"
        ) from error


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn what libraries raise where a disk is full, or cannot be written, into one sentence."""
    try:
        yield
    except Exception as error:
        raise StorageError(
            f"{folder} cannot be written ({one_line(error)}); set HF_HOME to another place"
        ) from error


def _clear_leftovers(folder: Path) -> None:
    """Remove what conversions left that were killed: a day later none is at work."""
    for path in folder.glob(f"{PARTIAL}*"):
        if time.time() - path.stat().st_mtime > OLD:
            shutil.rmtree(path, ignore_errors=True)


def _convert(file: GgufFile, folder: Path) -> None:
    """Write the checkpoint under another name, and rename it when it is whole."""
    from transformers import AutoTokenizer

    dtype = dtype_of_gguf(file)
    size = sum(math.prod(tensor.shape) for tensor in file.tensors) * BYTES[dtype]
    line = (
        f"{file.path.name}: dequantised to {dtype} and its tokenizer rebuilt, once, in {folder} "
        f"({size / 1e9:,.2f} GB)"
    )
    warnings.warn(line, Remark, stacklevel=2)
    with _writing(folder.parent):
        _clear_leftovers(folder.parent)
        partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder.parent))
    try:
        model = model_of_gguf(file, dtype)
        with _alone(file.path) as alone, _reading(file.path):
            tokenizer = AutoTokenizer.from_pretrained(alone, gguf_file=ALONE)
        with _writing(folder.parent):
            model.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
        with contextlib.suppress(OSError):  # another process was faster
            os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
