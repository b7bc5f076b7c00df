"""What a pruned model is worth as the draft of its dense model, as results and cards give it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prunekit.engine.escaping import shell_line
from prunekit.engine.stored import check_counts


@dataclass(frozen=True)
class Drafted:
    """Assisted generation with a draft, as it was predicted and as it was measured.

    Tokens are those that the dense model writes per forward of its own, greedily.
    """

    lookahead: int
    """tokens that the draft proposes in a round"""
    agreement: float
    """share of places of the dense model's own texts at which the draft is right"""
    cost: float
    """of a step of the draft, over one of the dense model"""
    formula: float
    """tokens, if the draft is right independently at each place"""
    predicted: float
    """tokens, from the places at which it is right"""
    measured: float
    speedup: float
    """predicted from the two, as if the dense model read several tokens as fast as one"""
    measured_speedup: float
    """by the clock, over the same texts written without the draft"""
    prompts: int
    same: int
    """prompts after which both texts are the same, token for token"""
    largest_gap: float | None
    """between the logits of two words at which texts part; None if none do"""
    tokens: int
    """in all texts"""
    data: str
    """the prompts"""
    dtype: str
    device: str
    searcher: str = ""
    """what chose the blocks for it; empty if they were named"""
    objective: str = ""

    @property
    def words(self) -> str:
        """Say what was predicted and measured."""
        return (
            f"{self.lookahead} ahead, it is right {self.agreement:.3f} of the time and costs "
            f"{self.cost:.3f} of a dense step: {self.measured:.3f} tokens per forward of the dense "
            f"model ({self.predicted:.3f} predicted), {self.measured_speedup:.2f} times its speed "
            f"({self.speedup:.2f} predicted). {self.proof}"
        )

    @property
    def proof(self) -> str:
        """Say that texts are those of the dense model, or how many are not."""
        of = f"{self.tokens:,} tokens after {self.prompts} prompts in {self.dtype}"
        if self.same == self.prompts:
            return f"Assisted generation wrote the dense model's greedy text, token for token: {of}"
        return (
            f"Assisted generation wrote the dense model's greedy text after {self.same} of "
            f"{self.prompts} prompts in {self.dtype}; the others part at a tie, where rounding "
            f"decides between two words (logits at most {self.largest_gap:.2g} apart)"
        )


def lines(target: str, draft: str, lookahead: int) -> dict[str, str]:
    """Return what to type to use a draft of `target` in the folder `draft`, by program."""
    speculative = {"method": "draft_model", "model": draft, "num_speculative_tokens": lookahead}
    return {
        "transformers": f"draft = AutoModelForCausalLM.from_pretrained({draft!r}); "
        f"draft.generation_config.update(num_assistant_tokens={lookahead}, "
        "assistant_confidence_threshold=0); model.generate(**inputs, assistant_model=draft)",
        "vLLM": shell_line(
            ["vllm", "serve", target, "--speculative-config", json.dumps(speculative)]
        ),
        "llama.cpp": f"llama-server -m MODEL.gguf -md DRAFT.gguf --spec-draft-n-max {lookahead}",
    }


def check_drafted(row: Mapping[str, Any]) -> None:
    """Raise ValueError unless the numbers in a file can be those of a draft."""
    counts = ("lookahead", "agreement", "cost", "formula", "predicted", "measured", "speedup")
    more = ("measured_speedup", "prompts", "same", "largest_gap", "tokens")
    check_counts(row, *counts, *more, name="draft")
    if row["agreement"] > 1 or row["same"] > row["prompts"]:
        raise ValueError("draft: expected shares of at most 1")
