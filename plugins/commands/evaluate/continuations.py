"""Let models continue prompts greedily, to be read side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prunekit.engine.progress import Progress
from prunekit.hf.roundtrip import generation_by
from prunekit.plugins.commands.evaluate.comparison import Continuation
from prunekit.plugins.commands.evaluate.prompts import Prompts, Tokens, tokens_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase


class Continuations:
    """What each model that is evaluated writes after the same prompts."""

    def __init__(self, prompts: Prompts, progress: Progress) -> None:
        self.prompts = prompts
        self.progress = progress
        self.tokens: list[Tokens] = []
        """as the model reads the prompts that was opened last"""
        self.shown: list[Tokens] = []
        """as the first model reads them"""
        self.texts: dict[str, list[str]] = {}
        """by `dense` and `pruned`"""

    def read_by(self, tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> None:
        """Make the prompts tokens for a model. Raises ConfigError as `tokens_of` does."""
        self.tokens = tokens_of(self.prompts, tokenizer, config)
        self.shown = self.shown or self.tokens

    def write(self, who: str, model: Any, tokenizer: PreTrainedTokenizerBase) -> None:
        """Let a model continue them."""
        texts, total = [], len(self.tokens)
        for done, tokens in enumerate(self.tokens):
            self.progress.count(f"continuing prompts, {who}", done, total, "prompts")
            texts.append(greedy(model, tokenizer, tokens, self.prompts.new_tokens))
        self.texts[who] = texts

    def side_by_side(self) -> tuple[Continuation, ...]:
        """Return what was written so far, prompt by prompt."""
        if not self.texts:
            return ()
        unknown = [None] * len(self.shown)
        dense, pruned = (self.texts.get(who, unknown) for who in ("dense", "pruned"))
        return tuple(
            Continuation(tokens.prompt, tokens.rendered, *texts)
            for tokens, *texts in zip(self.shown, dense, pruned, strict=True)
        )


def greedy(model: Any, tokenizer: PreTrainedTokenizerBase, tokens: Tokens, new_tokens: int) -> str:
    """Return the greedy continuation, by the model's own `generate`, with a cache.

    The likeliest token is taken at each step, up to one that ends a text, whatever the model's
    generation settings ask for; so a model always writes the same.
    """
    import torch

    ids = tokens.ids.to(model.device)
    with torch.no_grad(), generation_by(model, greedily(model, tokenizer, new_tokens)):
        output = model.generate(ids, attention_mask=torch.ones_like(ids))
    return str(tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True))


def greedily(model: Any, tokenizer: PreTrainedTokenizerBase, new_tokens: int) -> dict[str, Any]:
    """Return the generation settings of a greedy continuation."""
    own = model.generation_config
    end = own.eos_token_id if own and own.eos_token_id is not None else tokenizer.eos_token_id
    return {
        "max_new_tokens": new_tokens,
        "eos_token_id": end,
        "pad_token_id": (end[0] if isinstance(end, list) else end) or 0,
    }
