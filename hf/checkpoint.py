"""Find a model: a folder, a name on the Hugging Face hub, or the demo of a model family."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError
from prunekit.core.spec import Known
from prunekit.hf.blocks import field_of
from prunekit.hf.files import CONFIG, SMALL, admit, defines_tokenizer, fetch
from prunekit.hf.gguf_checkpoint import checkpoint_of_gguf, is_gguf
from prunekit.hf.identity import digest_of, stamp_of
from prunekit.hf.tensors import (
    WEIGHTS,
    StoredTensor,
    prevailing_dtype,
    stored_tensors,
    weight_files,
    weight_names,
)
from prunekit.hf.unreadable import readable

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from prunekit.core.registry import Registry
    from prunekit.core.spec import Spec

DEMO = "demo:"
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class Checkpoint:
    """The location of a model's files, before any weight is read.

    Call `admit` before reading any of them.
    """

    source: str
    """a folder, or a name on the hub"""
    revision: str | None = None
    trust_remote_code: bool = False
    attention: str = "auto"
    known: Known = field(default=Known(), compare=False)
    made_of: str = ""
    """the identity of the GGUF file that it was converted from"""

    def config(self) -> PretrainedConfig:
        """Read the configuration. Raises CheckpointError if it is missing."""
        from transformers import AutoConfig

        where = {**self._where(), **self.kernels}
        with readable(self):
            config: PretrainedConfig = AutoConfig.from_pretrained(self.source, **where)
        return config

    @property
    def kernels(self) -> dict[str, str]:
        """The arguments of transformers for the kernel of attention, if one was chosen."""
        return {} if self.attention == "auto" else {"attn_implementation": self.attention}

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Read the tokenizer. Raises CheckpointError if it is missing.

        For some families transformers would then make one up from special tokens alone.
        """
        from transformers import AutoTokenizer

        where = self._where()
        try:
            with readable(self):
                tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                    self.source, **where
                )
                tokenizer("a")  # only its use reveals some faults of its files
        except CheckpointError as error:
            if not defines_tokenizer(self.folder()):
                raise self._without_tokenizer() from error
            raise CheckpointError(f"the tokenizer cannot be read: {error}") from error
        if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
            raise self._without_tokenizer()
        return tokenizer

    def _without_tokenizer(self) -> CheckpointError:
        return CheckpointError(
            f"{self.source} holds no tokenizer, such as tokenizer.json or tokenizer.model; copy "
            "the tokenizer's files from the model that it was made from into it, or give that model"
        )

    def identity(self) -> str:
        """Return the commit of a model on the hub, or a digest of a local folder.

        The digest covers the weights, `config.json`, and the model's own code if it is trusted.
        A GGUF file has its own, whichever version of transformers converted it.
        """
        if self.made_of:
            return self.made_of
        folder = self.folder()
        if not self.is_folder:
            return f"{self.source}@{folder.name}"  # named after the commit in the cache
        return self.known.identity(self.stamp) or digest_of(self._identified())

    def stamp(self) -> str:
        """Return what changes with the files of a folder; empty if it might not.

        It is empty on the hub too, and for a GGUF file, which is read for its digest in any case.
        """
        if self.made_of or not self.is_folder:
            return ""
        return stamp_of(self._identified(), time.time_ns())

    def _identified(self) -> list[Path]:
        folder = self.folder()
        code = sorted(folder.rglob("*.py")) if self.trust_remote_code else []
        return [*self.weight_files(), folder / CONFIG, *code]

    def folder(self) -> Path:
        """Return the folder of the files; from the hub, all but the weights are fetched."""
        folder = Path(self.source) if self.is_folder else self._fetch(SMALL)
        admit(folder, self.trust_remote_code)
        return folder

    def weight_files(self) -> list[Path]:
        """Return the weight files in order, fetched if the model is on the hub.

        Raises CheckpointError if one is missing or is not a safetensors file of the folder.
        """
        folder = self.folder()
        if not self.is_folder:
            self._fetch_weights(folder)
        return weight_files(folder)

    def tensors(self) -> dict[str, StoredTensor]:
        """Return every tensor by name. Raises CheckpointError if a file is broken."""
        self.weight_files()
        return stored_tensors(self.folder())

    def dtype(self) -> torch.dtype:
        """Return the dtype in which the weights are stored: the floating one with the most bytes.

        The configuration may disagree. Raises CheckpointError if no tensor is floating.
        """
        dtype = prevailing_dtype(self.tensors())
        if dtype is None:
            raise CheckpointError(f"{self.source} holds no floating-point weights")
        return dtype

    def opened(self) -> Checkpoint:
        """Return it with all files fetched and checked; from the hub, pinned to one commit."""
        self.tensors()
        return self if self.is_folder else replace(self, revision=self.folder().name)

    @property
    def is_folder(self) -> bool:
        """Return True if the files are local, so that nothing has to be fetched."""
        return Path(self.source).is_dir()

    def _where(self) -> dict[str, Any]:
        """Return the arguments of `from_pretrained`, once the files are fetched and admitted."""
        folder = self.folder()
        revision = None if self.is_folder else folder.name
        return {"revision": revision, "trust_remote_code": self.trust_remote_code}

    def _fetch_weights(self, folder: Path) -> None:
        self._fetch((WEIGHTS,))
        names = weight_names(folder)
        if names is None:
            raise CheckpointError(
                f"{self.source}: its weights are not in the local cache as safetensors; run "
                f"`hf download {self.source}`, and where the hub has none either, save the model "
                "with transformers"
            )
        self._fetch(tuple(names))

    def _fetch(self, patterns: tuple[str, ...]) -> Path:
        with readable(self):
            return fetch(self.source, self.revision, patterns)


def context_length(config: PretrainedConfig) -> int | None:
    """Return the maximum number of tokens; None if the configuration sets no limit, as with -1."""
    longest = field_of(config.get_text_config(), "max_position_embeddings")
    return longest if longest is not None and longest > 0 else None


def auto_class(config: PretrainedConfig) -> Any:
    """Return the class of transformers that loads the model, or None if none generates text.

    That is AutoModelForCausalLM, or AutoModelForImageTextToText if only that one knows the model,
    or maps it to the class named in the configuration.
    """
    import transformers

    name, _ = loaded_as(config)
    return getattr(transformers, name) if name else None


def loaded_as(config: PretrainedConfig) -> tuple[str, str]:
    """Return the names of the automatic class and of the model's own class that it loads.

    Both are empty if none generates text.
    """
    from transformers.models.auto import modeling_auto

    known = {
        "AutoModelForCausalLM": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        "AutoModelForImageTextToText": modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    }
    offered = {name: models.get(config.model_type) for name, models in known.items()}
    if "AutoModelForCausalLM" in (field_of(config, "auto_map") or {}):
        offered["AutoModelForCausalLM"] = config.auto_map["AutoModelForCausalLM"]  # its own code
    written_by = config.architectures or []
    ranked = sorted(
        ((name, str(model)) for name, model in offered.items() if model is not None),
        key=lambda pair: (pair[1] not in written_by, pair[0] == "AutoModelForImageTextToText"),
    )
    return ranked[0] if ranked else ("", "")


def find(spec: Spec, registry: Registry) -> Checkpoint:
    """Find the checkpoint `spec.model`. Raises CheckpointError if it is missing."""
    if spec.model.startswith(DEMO):
        entry = registry.get("model", spec.model.removeprefix(DEMO))
        if entry.cls.demo is None:
            raise CheckpointError(f"the model family {entry.name!r} brings no demo checkpoint")
        # An editable installation may hold links, and `admit` reads none that leads elsewhere.
        place = (Path(entry.cls.demo) / CONFIG).resolve().parent
        return Checkpoint(str(place), attention=spec.attention)
    folder = Path(spec.model).expanduser()
    how = (spec.trust_remote_code, spec.attention, spec.known)
    made_of = ""
    if is_gguf(spec.model) and folder.is_file():
        folder = checkpoint_of_gguf(folder)
        made_of = folder.name
    if folder.is_dir():
        checkpoint = Checkpoint(str(folder), None, *how, made_of=made_of)
        checkpoint.weight_files()
        return checkpoint
    if folder.exists() or is_gguf(spec.model) or not HUB_NAME.fullmatch(spec.model):
        raise CheckpointError(
            f"{spec.model}: no such folder or file, and no name of a model on the hub either; "
            "give a folder with a checkpoint, a .gguf file, OWNER/NAME, or demo"
        )
    return Checkpoint(spec.model, spec.revision, *how)
