"""The prompts that a dense and a pruned model continue: read them, and make them tokens."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prunekit.core.errors import ConfigError
from prunekit.hf.checkpoint import context_length
from prunekit.hf.datasets import is_plain_text, stream_rows
from prunekit.hf.documents import MESSAGES, Chat, Document, documents_of_rows, written
from prunekit.hf.row_files import Row
from prunekit.hf.vocabulary import check_tokens
from prunekit.plugins.commands.evaluate.config import DEMO, NEW_TOKENS
from prunekit.plugins.commands.evaluate.texts import DEMO_DATA

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

PROMPT = "prompt"
"""The column of a file with rows."""


@dataclass(frozen=True)
class Prompts:
    """What to continue, and how. Raises ConfigError for numbers and files that cannot be used."""

    source: str
    """a file, or `demo`, the three that come with prunekit"""
    new_tokens: int = NEW_TOKENS
    plain: bool = False
    """whether prompts are continued as they are, though the tokenizer has a chat template"""

    def __post_init__(self) -> None:
        if not isinstance(self.new_tokens, int) or self.new_tokens < 1:
            raise ConfigError(f"expected a number from 1, got {self.new_tokens!r}", ("new_tokens",))

    def check(self) -> None:
        """Raise ConfigError if there is no such file or column, or no text in it."""
        assert self.documents

    @functools.cached_property
    def documents(self) -> Sequence[Document]:
        """The prompts, texts or chats; lines and rows without text are skipped, with a Remark."""
        path = DEMO_DATA / "prompts.jsonl" if self.source == DEMO else Path(self.source)
        rows = list(_lines(path) if is_plain_text(path) else stream_rows(path.expanduser(), DEMO))
        names = {name for row in rows for name in row}
        column = MESSAGES if MESSAGES in names and PROMPT not in names else PROMPT
        cure = f"name it `{PROMPT}`, or `{MESSAGES}` if it holds chats"
        return documents_of_rows(rows, str(path), column, cure)


def _lines(path: Path) -> Iterator[Row]:
    """Yield a row for each line of plain text; the end of the last is no further line."""
    for row in stream_rows(path.expanduser(), DEMO):
        for number, line in enumerate(row["text"].removesuffix("\n").split("\n"), start=1):
            yield Row({PROMPT: line}, f"line {number}")


@dataclass(frozen=True)
class Tokens:
    """A prompt as a model reads it."""

    prompt: str
    """as it is printed: a text, or the last message of a chat"""
    rendered: str
    """with the chat template, if that was used"""
    ids: Tensor
    """`[1, length]`"""


def tokens_of(
    prompts: Prompts, tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig
) -> list[Tokens]:
    """Make the prompts tokens, by the chat template where the tokenizer has one.

    Raises ConfigError if that template refuses one, or one gives no tokens, too many for the
    model's context with those to come, or tokens that the model lacks.
    """
    found = []
    for number, document in enumerate(prompts.documents, start=1):
        tokens = _tokens(document, prompts, tokenizer)
        _check(tokens, f"prompt {number} of {prompts.source}", prompts.new_tokens, config)
        sample = {"input_ids": tokens.ids, "targets": tokens.ids}
        check_tokens([sample], tokenizer, config, prompts.source)
        found.append(tokens)
    return found


def _tokens(document: Document, prompts: Prompts, tokenizer: PreTrainedTokenizerBase) -> Tokens:
    import torch

    if isinstance(document, Chat):
        chat, prompt = document, str(document.messages[-1]["content"])
    else:
        chat, prompt = Chat([{"role": "user", "content": document}], prompts.source), document
    is_chat = isinstance(document, Chat) or (tokenizer.chat_template and not prompts.plain)
    text = written(chat, tokenizer, to_answer=True) if is_chat else prompt
    ids = tokenizer(text, add_special_tokens=not is_chat)["input_ids"]
    return Tokens(prompt, text, torch.tensor([ids], dtype=torch.long))


def _check(tokens: Tokens, name: str, new_tokens: int, config: PretrainedConfig) -> None:
    length, context = tokens.ids.shape[1], context_length(config)
    if not length:
        raise ConfigError(f"{name} gives no tokens; drop it")
    if context is not None and length + new_tokens > context:
        raise ConfigError(
            f"{name} has {length:,} tokens, and {new_tokens:,} are to come; the model's context "
            f"holds {context:,}: shorten it, or lower --new-tokens"
        )
