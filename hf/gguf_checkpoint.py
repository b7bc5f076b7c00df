"""Turn a GGUF file into a checkpoint folder: once, in the cache of the Hugging Face libraries.

transformers dequantises the weights and rebuilds the tokenizer, which takes a minute or two. The
folder is named after a digest of the file, so that a copy elsewhere is the same model.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prunekit.core.errors import CheckpointError, Remark, one_line
from prunekit.hf.gguf_file import GgufFile, read_gguf

SUFFIX = ".gguf"
SPLIT = "split.count"
PIECE = 2**24
UNQUANTISED = {0: "float32", 1: "float16", 30: "bfloat16"}
"""Types of ggml that are stored as they are, as torch names them."""


def is_gguf(model: str) -> bool:
    """Return whether a model is named as a GGUF file.

    >>> is_gguf("models/tiny.gguf"), is_gguf("owner/tiny")
    (True, False)
    """
    return model.endswith(SUFFIX)


def checkpoint_of_gguf(path: Path) -> Path:
    """Return the folder of the file's checkpoint, which is made if it is not there yet.

    Raises CheckpointError if the file cannot be read, or the package gguf is missing.
    """
    from huggingface_hub.constants import HF_ASSETS_CACHE

    file = checked_gguf(path)
    stat = path.stat()
    digest = _digest(str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    folder = Path(HF_ASSETS_CACHE) / "prunekit" / "gguf" / digest
    if not folder.is_dir():
        _convert(file, folder)
    return folder


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
    if importlib.util.find_spec("gguf") is None:
        raise CheckpointError(
            f'{path}: reading GGUF needs the package gguf; install it: pip install "prunekit[gguf]"'
        )
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


def model_of_gguf(file: GgufFile) -> Any:
    """Let transformers load and dequantise the model. Raises CheckpointError if it cannot."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    dtype = getattr(torch, dtype_of_gguf(file))
    plain = GgufConfig(dequantize=True)
    with _reading(file.path), _silent():
        return AutoModelForCausalLM.from_pretrained(
            file.path.absolute().parent,
            gguf_file=file.path.name,
            dtype=dtype,
            quantization_config=plain,
        )


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


def _convert(file: GgufFile, folder: Path) -> None:
    """Write the checkpoint under another name, and rename it when it is whole."""
    from transformers import AutoTokenizer

    path = file.path.absolute()
    line = (
        f"{file.path.name}: dequantised to {dtype_of_gguf(file)} and its tokenizer rebuilt, once, "
        f"in {folder}"
    )
    warnings.warn(line, Remark, stacklevel=2)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    except OSError as error:
        raise CheckpointError(
            f"{folder.parent} cannot be written ({error.strerror}); set HF_HOME to another place"
        ) from error
    try:
        model = model_of_gguf(file)
        with _reading(file.path):
            tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
            model.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
        with contextlib.suppress(OSError):  # another process was faster
            os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
