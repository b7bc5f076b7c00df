"""What stands before a text: the tokens that a tokenizer puts there, or that a user asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from prunekit.core.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Beginning: TypeAlias = Literal["auto", "every", "none"]
"""`auto`: what the tokenizer puts before a text, `every`: its beginning-of-text token, or nothing.
What it is stands before every window and item."""


def first_tokens(tokenizer: PreTrainedTokenizerBase, how: Beginning, flag: str) -> list[int]:
    """The tokens before every text; ConfigError where one is asked for that does not exist.

    `flag` is the option that holds `how`, for the message.
    """
    if how == "none":
        return []
    if how == "auto":
        return _own_first_tokens(tokenizer)
    if tokenizer.bos_token_id is None:
        raise ConfigError(
            f"{flag} every: this tokenizer has no beginning-of-text token; leave {flag} out"
        )
    return [tokenizer.bos_token_id]


def plain_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The tokens of a text, with nothing before or after it."""
    ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return ids


def _own_first_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """What a tokenizer puts before a text, not what it may put after it."""
    whole: list[int] = tokenizer("a").input_ids
    plain = plain_tokens(tokenizer, "a")
    starts = range(len(whole) - len(plain) + 1)
    return next((whole[:i] for i in starts if whole[i : i + len(plain)] == plain), [])
