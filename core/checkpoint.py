"""Find a model: a folder, a name on the Hugging Face hub, or the demo of a model family."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError
from prunekit.core.interfaces import Spec
from prunekit.core.registry import Registry
from prunekit.core.tensors import StoredTensor, prevailing_dtype, read_tensors

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

DEMO = "demo:"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class Checkpoint:
    """Where a model's files are, before any weight is read."""

    source: str
    """a folder, or a name on the hub"""
    revision: str | None = None
    trust_remote_code: bool = False

    def config(self) -> PretrainedConfig:
        """The configuration; CheckpointError where there is none."""
        from transformers import AutoConfig

        with readable(self):
            config: PretrainedConfig = AutoConfig.from_pretrained(
                self.source, revision=self.revision, trust_remote_code=self.trust_remote_code
            )
        return config

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer; CheckpointError where there is none.

        Of some families transformers makes one up then, of special tokens alone.
        """
        from transformers import AutoTokenizer

        try:
            with readable(self):
                tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                    self.source, revision=self.revision, trust_remote_code=self.trust_remote_code
                )
        except CheckpointError as error:
            raise CheckpointError(f"the tokenizer cannot be read: {error}") from error
        if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
            raise CheckpointError(
                f"{self.source} holds no tokenizer; copy the files of the model's own into it"
            )
        return tokenizer

    def identity(self) -> str:
        """The commit of a model from the hub, a digest of the files of a folder."""
        if not self.is_folder:
            return f"{self.source}@{self._commit()}"
        digest = hashlib.blake2b(digest_size=16)
        for path in [*sorted(Path(self.source).glob("*.safetensors")), self._config_file]:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "blake2b").digest())
        return digest.hexdigest()

    def weight_files(self) -> list[Path]:
        """The files with the weights, in order; empty where they have unusual names."""
        folder = self.folder()
        index = folder / INDEX
        if index.is_file():
            parts = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            return [folder / name for name in sorted(set(parts))]
        return [folder / WEIGHTS] if (folder / WEIGHTS).is_file() else []

    def tensors(self) -> dict[str, StoredTensor]:
        """Every tensor of the checkpoint by name, from the heads of its files."""
        return read_tensors(self.weight_files())

    def dtype(self) -> torch.dtype:
        """In what the checkpoint is stored: the floating dtype of most bytes in its files.

        The configuration is asked only if the files have unusual names: it may be wrong.
        """
        return prevailing_dtype(self.tensors()) or own_dtype(self.config())

    def folder(self) -> Path:
        """Where the files lie; those of a model on the hub once they were loaded."""
        return Path(self.source) if self.is_folder else self._snapshot()

    def _snapshot(self) -> Path:
        """Where the hub's files lie, once they are loaded."""
        from transformers.utils.hub import cached_file

        with readable(self):
            config = cached_file(self.source, "config.json", revision=self.revision)
        return Path(str(config)).parent

    def _commit(self) -> str:
        from transformers.utils.hub import extract_commit_hash

        commit = extract_commit_hash(str(self._snapshot() / "config.json"), None)
        if commit is None:
            raise CheckpointError(f"{self.source}: the hub names no commit of it; give a folder")
        return str(commit)

    @property
    def is_folder(self) -> bool:
        """Whether the files are here, so that nothing has to be fetched."""
        return Path(self.source).is_dir()

    @property
    def _config_file(self) -> Path:
        return Path(self.source) / "config.json"


def own_dtype(config: PretrainedConfig) -> torch.dtype:
    """In what a checkpoint is stored, as its configuration says; float32 where it does not."""
    import torch

    own = config.get_text_config().dtype or torch.float32
    return getattr(torch, own) if isinstance(own, str) else own


def auto_class(config: PretrainedConfig) -> Any:
    """The class of transformers that loads such a model, None where none writes text.

    That is AutoModelForCausalLM, or AutoModelForImageTextToText where only that knows the model, or
    knows it as the class that the configuration says wrote it.
    """
    import transformers
    from transformers.models.auto import modeling_auto

    known = {
        "AutoModelForCausalLM": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        "AutoModelForImageTextToText": modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    }
    offered = {name: models.get(config.model_type) for name, models in known.items()}
    if "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {}):
        offered["AutoModelForCausalLM"] = config.auto_map["AutoModelForCausalLM"]  # its own code
    written_by = config.architectures or []
    ranked = sorted(
        (name for name, model in offered.items() if model is not None),
        key=lambda name: (offered[name] not in written_by, name == "AutoModelForImageTextToText"),
    )
    return getattr(transformers, ranked[0]) if ranked else None


def find(spec: Spec, registry: Registry) -> Checkpoint:
    """The checkpoint that `spec.model` names; CheckpointError where a folder holds none."""
    if spec.model.startswith(DEMO):
        entry = registry.get("model", spec.model.removeprefix(DEMO))
        if getattr(entry.cls, "demo", None) is None:
            raise CheckpointError(f"the model family {entry.name!r} brings no demo checkpoint")
        return Checkpoint(str(entry.cls.demo))
    folder = Path(spec.model).expanduser()
    if folder.is_dir():
        _check_folder(folder)
        return Checkpoint(str(folder), trust_remote_code=spec.trust_remote_code)
    if folder.exists() or not HUB_NAME.fullmatch(spec.model):
        raise CheckpointError(
            f"{spec.model}: no such folder, and no name of a model on the hub either; "
            "give a folder with a checkpoint, OWNER/NAME, or demo"
        )
    return Checkpoint(spec.model, spec.revision, spec.trust_remote_code)


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"{folder} holds no config.json; expected a folder written by save_pretrained"
        )
    if not list(folder.glob("*.safetensors")):
        raise CheckpointError(
            f"{folder} holds no .safetensors file; other formats are not read, since they can run "
            "code: load the model with transformers and save it again"
        )


@contextlib.contextmanager
def readable(checkpoint: Checkpoint) -> Iterator[None]:
    """Turn what goes wrong while reading into one sentence that says what to do."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{checkpoint.source}: {_advice(checkpoint, error)}") from error


def _advice(checkpoint: Checkpoint, error: Exception) -> str:
    kinds = {type(e).__name__ for e in _causes(error)}
    name = checkpoint.source
    if "GatedRepoError" in kinds:
        return "a gated model; ask for access on its page, then run `hf auth login`"
    if "RepositoryNotFoundError" in kinds or "RevisionNotFoundError" in kinds:
        return "not on the hub under this name and revision, or private: run `hf auth login`"
    if kinds & {
        "LocalEntryNotFoundError",
        "OfflineModeIsEnabled",
        "ConnectError",
        "ConnectTimeout",
    }:
        return (
            "not in the local cache, and the hub cannot be reached; run "
            f"`hf download {name}` where there is a network, or give a folder"
        )
    if not checkpoint.is_folder and "use_safetensors" in str(error):
        return f"its weights are not in the local cache as safetensors; run `hf download {name}`"
    if "report above" in str(error) or "above report" in str(error):
        return (
            "the weights have other shapes than the configuration says; it is damaged or mixed up"
        )
    if "SafetensorError" in kinds:
        return f"the weights are broken or cut short ({first_line(error)}); fetch the file again"
    if "trust_remote_code" in str(error):
        return "needs code of its own to run; read that code, then add --trust-remote-code"
    return f"cannot be loaded: {type(error).__name__}: {first_line(error)}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def first_line(error: Exception) -> str:
    """The first line of what an error says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else ""
