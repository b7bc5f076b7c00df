"""What a model wrote after all prompts and exercises, batch by batch, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunekit.engine.progress import Progress
from prunekit.engine.rounding import arrangement
from prunekit.plugins.commands.certify.authors import Asked, Author
from prunekit.plugins.commands.certify.exercises import KINDS
from prunekit.plugins.commands.certify.generation import Start, Written, ends_of, write
from prunekit.plugins.commands.certify.kept_texts import KeptTexts
from prunekit.plugins.commands.certify.writing import Writing


@dataclass(frozen=True)
class Works:
    """The texts of one model."""

    greedy: tuple[Written, ...]
    """after each prompt"""
    sampled: tuple[tuple[Written, ...], ...]
    """after each prompt, as many as there are samples"""
    exercises: Mapping[str, tuple[Written, ...]]
    """by kind"""
    agreement: tuple[float, ...] = ()
    """for each prompt, the share of the dense model's greedy tokens that are this model's too"""

    def after(self, prompt: int) -> tuple[Written, ...]:
        """Return the greedy and the sampled texts after one prompt."""
        return (self.greedy[prompt], *self.sampled[prompt])


class Desk:
    """Where one model writes."""

    def __init__(
        self, author: Author, asked: Asked, writing: Writing, workdir: Path, progress: Progress
    ) -> None:
        self.author = author
        self.asked = asked
        self.writing = writing
        self.progress = progress
        ends = ends_of(author.model, author.tokenizer)
        layout = arrangement(author.fingerprint, writing.batch_size)
        how = {"temperature": writing.temperature, "ends": ends, **layout}
        self.kept = KeptTexts(workdir, author.fingerprint, author.removed, how)
        self.prompts = [tuple(tokens.ids[0].tolist()) for tokens in asked.prompts]
        self.done = 0
        texts = len(self.prompts) * (1 + writing.samples)
        self.total = texts + sum(map(len, asked.exercises.values()))

    def works(self, dense: Works | None) -> Works:
        """Let the model write all of it; with the texts of the dense one, measure agreement.

        Raises ConfigError if a kept text is damaged, StorageError if one cannot be kept.
        """
        n, most = self.writing.samples, self.writing.new_tokens
        greedy = self._written([Start(ids) for ids in self.prompts], most)
        drawn = self._written(list(self._sampled()), most)
        solved = {
            kind: tuple(self._written([Start(ids) for _, ids in pairs], KINDS[kind].new_tokens))
            for kind, pairs in self.asked.exercises.items()
        }
        sampled = tuple(tuple(drawn[i * n : (i + 1) * n]) for i in range(len(self.prompts)))
        agreed = self._agreement(dense.greedy) if dense else ()
        return Works(tuple(greedy), sampled, solved, tuple(agreed))

    def _sampled(self) -> Iterator[Start]:
        for number, ids in enumerate(self.prompts):
            for sample in range(self.writing.samples):
                yield Start(ids, f"{self.writing.seed} {number} {sample}")

    def _written(self, starts: Sequence[Start], most: int) -> list[Written]:
        """Write in batches of similar length; return the texts in the order of the starts."""
        order = sorted(range(len(starts)), key=lambda i: len(starts[i].ids))
        found: dict[int, Written] = {}
        for first in range(0, len(order), self.writing.batch_size):
            batch = order[first : first + self.writing.batch_size]
            found |= zip(batch, self._batch([starts[i] for i in batch], most), strict=True)
            self.done += len(batch)
            self.progress.count(f"writing, {self.author.who}", self.done, self.total, "texts")
        return [found[i] for i in range(len(starts))]

    def _batch(self, starts: Sequence[Start], most: int) -> list[Written]:
        texts = self.kept.texts(starts, most)
        if texts is None:
            author, temperature = self.author, self.writing.temperature
            texts = write(author.model, author.tokenizer, starts, most, temperature)
            self.kept.keep_texts(starts, most, texts)
        return texts

    def _agreement(self, texts: Sequence[Written]) -> Iterator[float]:
        title = f"agreement, {self.author.who}"
        for number, (ids, text) in enumerate(zip(self.prompts, texts, strict=True)):
            self.progress.count(title, number, len(texts), "texts")
            share = self.kept.agreement(ids, text)
            if share is None:
                share = agreement(self.author.model, ids, text.tokens)
                self.kept.keep_agreement(ids, text, share)
            yield share


def agreement(model: Any, prompt: Sequence[int], text: Sequence[int]) -> float:
    """Return the share of the tokens of a text that the model thinks likeliest at their place.

    1 for a text without tokens.
    """
    import torch

    if not text:
        return 1.0
    ids = torch.tensor([[*prompt, *text]], device=model.device)
    with torch.no_grad():
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits[0, len(prompt) - 1 :]
    return float((logits.argmax(-1) == ids[0, len(prompt) :]).float().mean())
