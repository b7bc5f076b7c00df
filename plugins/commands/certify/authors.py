"""The two models of a certificate, one after the other, and the prompts as they read them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import ConfigError, Remark
from prunekit.core.problem import DENSE, Subset
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.known import load_known
from prunekit.hf.checkpoint import context_length, find
from prunekit.hf.roundtrip import dense_and_pruned
from prunekit.plugins.commands.certify.exercises import KINDS, Exercise
from prunekit.plugins.commands.evaluate.prompts import Prompts, Tokens, tokens_of
from prunekit.plugins.commands.evaluate.target import EvalTarget

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WHO = ("dense", "pruned")
MOST_UNKNOWN = 0.5
"""Share of unknown tokens above which a prompt is remarked on."""


@dataclass(frozen=True)
class Author:
    """A model that writes."""

    who: str
    """`dense` or `pruned`"""
    model: Any
    tokenizer: PreTrainedTokenizerBase
    fingerprint: Mapping[str, str]
    removed: Subset


@dataclass(frozen=True)
class Asked:
    """All that both models continue, as tokens, which are the same for both."""

    prompts: tuple[Tokens, ...]
    exercises: Mapping[str, tuple[tuple[Exercise, tuple[int, ...]], ...]]
    """by kind, with their tokens"""


def asked_of(
    target: EvalTarget, prompts: Prompts, exercises: Mapping[str, list[Exercise]]
) -> Asked:
    """Make prompts and exercises tokens; nothing is loaded for it but tokenizers.

    Raises ConfigError if the tokenizers of both models are not the same, or as `tokens_of` does.
    """
    specs = [target.origin or target.spec, target.spec]
    (asked, reading), (_, other) = (read_by(spec, prompts, exercises) for spec in specs)
    if reading != other:
        raise ConfigError(
            f"{specs[0].model} and {specs[1].model} have different tokenizers or chat templates: "
            "they read and write different tokens, so nothing of them can be compared in pairs; "
            "name a --baseline with the same one"
        )
    return asked


def read_by(
    spec: Spec, prompts: Prompts, exercises: Mapping[str, list[Exercise]]
) -> tuple[Asked, object]:
    """Return everything as tokens, and what is the same for all models that read so.

    Raises ConfigError as `asked_of` does.
    """
    checkpoint = find(spec, load())
    tokenizer, config = checkpoint.tokenizer(), checkpoint.config()
    texts = tokens_of(prompts, tokenizer, config)
    asked = {
        kind: tuple((each, tuple(tokenizer(each.prompt)["input_ids"])) for each in of_kind)
        for kind, of_kind in exercises.items()
    }
    context = context_length(config)
    for kind, pairs in asked.items():
        most = max((len(ids) for _, ids in pairs), default=0) + KINDS[kind].new_tokens
        if context is not None and most > context:
            raise ConfigError(
                f"exercises of {kind} take up to {most:,} tokens, and the context of {spec.model} "
                f"holds {context:,}; leave them out with --exercises 0"
            )
    _remark_on_unknown(texts, tokenizer)
    ids = [text.ids.tolist() for text in texts]
    return Asked(tuple(texts), asked), (tokenizer.get_vocab(), ids, asked)


def _remark_on_unknown(texts: list[Tokens], tokenizer: PreTrainedTokenizerBase) -> None:
    """Warn with a Remark about prompts in a script that the tokenizer does not know."""
    unknown = tokenizer.unk_token_id
    if unknown is None:
        return
    for number, text in enumerate(texts, start=1):
        share = (text.ids == unknown).float().mean().item()
        if share > MOST_UNKNOWN:
            line = f"prompt {number}: {share:.0%} of its tokens are unknown to the tokenizer"
            warnings.warn(line, Remark, stacklevel=2)


def authors_of(target: EvalTarget, workdir: Path) -> Iterator[Author]:
    """Yield the dense model, then the pruned one; a second checkpoint is loaded after the first.

    Raises UnfitModel if no checkpoint can hold the pruned model, CheckpointError if one cannot be
    loaded.
    """
    registry = load()
    if target.removed:
        adapter = load_known(target.spec, workdir, registry)
        target.check(adapter.facts)
        tokenizer = find(target.spec, registry).tokenizer()
        models = dense_and_pruned(adapter, target.removed)
        for who, model, removed in zip(WHO, models, (DENSE, target.removed), strict=True):
            yield Author(who, model, tokenizer, adapter.facts.fingerprint, removed)
        return
    assert target.origin
    dtype = None
    for who, spec in zip(WHO, (target.origin, target.spec), strict=True):
        adapter = load_known(replace(spec, dtype=dtype or spec.dtype), workdir, registry)
        dtype = adapter.facts.fingerprint["dtype"]
        tokenizer = find(spec, registry).tokenizer()
        with adapter.bypassing(DENSE) as model:
            yield Author(who, model, tokenizer, adapter.facts.fingerprint, DENSE)
        del adapter, model  # the next one needs their memory
