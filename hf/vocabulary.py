"""Compare token ids with the vocabulary of a model: others have no embedding.

A tokenizer to which tokens were added knows more of them than a model that was not resized.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from prunekit.core.batch import IGNORE, Sample
from prunekit.core.errors import ConfigError
from prunekit.hf.blocks import field_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedTokenizerBase


def vocabulary_size(config: PretrainedConfig) -> int | None:
    """Return the number of tokens that the model has; None if the configuration does not say."""
    size = field_of(config.get_text_config(), "vocab_size")
    return size if isinstance(size, int) and size > 0 else None


def has_token(config: PretrainedConfig, token: int | None) -> bool:
    """Return True if the model has a token of this id, as far as its configuration says."""
    size = vocabulary_size(config)
    return token is not None and token >= 0 and (size is None or token < size)


def check_tokens(
    samples: Sequence[Sample],
    tokenizer: PreTrainedTokenizerBase,
    config: PretrainedConfig,
    source: str,
) -> None:
    """Raise ConfigError if a sample has a token, to read or to predict, that the model lacks.

    `source` names what made the samples, to be blamed for ids that the tokenizer lacks too.
    """
    for sample in samples:
        targets = sample["targets"]
        for ids in (sample["input_ids"], targets[targets != IGNORE]):
            _check_ids(ids, tokenizer, config, source)


@contextlib.contextmanager
def checking_tokens(model: Any, tokenizer: PreTrainedTokenizerBase, source: str) -> Iterator[None]:
    """Raise ConfigError for every token that the model reads inside the context and lacks."""

    def check(module: Any, ids: tuple[Any, ...]) -> None:
        for given in ids[:1]:
            _check_ids(given, tokenizer, model.config, source)

    hook = model.get_input_embeddings().register_forward_pre_hook(check)
    try:
        yield
    finally:
        hook.remove()


def _check_ids(
    ids: Tensor, tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig, source: str
) -> None:
    size = vocabulary_size(config)
    if size is None or not ids.numel() or (int(ids.min()) >= 0 and int(ids.max()) < size):
        return
    wrong = int(ids[(ids < 0) | (ids >= size)][0])
    token = tokenizer.convert_ids_to_tokens(wrong) if 0 <= wrong < len(tokenizer) else None
    if token is None:
        raise ConfigError(
            f"{source} gives the token id {wrong:,}, which is neither the tokenizer's nor the "
            f"model's: that has ids 0 to {size - 1:,}; correct it there"
        )
    raise ConfigError(
        f"the tokenizer has the token {token!r} with id {wrong:,}, but the model's vocabulary has "
        f"{size:,} tokens, 0 to {size - 1:,}; resize its embedding with `resize_token_embeddings` "
        "and train it, or give the tokenizer that the model was trained with"
    )
