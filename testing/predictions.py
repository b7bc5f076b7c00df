"""What an objective may see of a model's predictions, healthy and broken."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prunekit.core.interfaces import IGNORE, Output
from prunekit.testing.contract import Judge

if TYPE_CHECKING:
    from torch import Tensor


class Only:
    """An Output with the methods of the protocol and nothing else."""

    def __init__(self, judge: Judge, output: Output) -> None:
        self._judge = judge
        self._output = output

    def token_logprobs(self, targets: Tensor) -> Tensor:
        """As the model's own."""
        return self._output.token_logprobs(targets)

    def logits(self, where: Tensor) -> Iterator[Tensor]:
        """As the model's own."""
        return self._output.logits(where)

    def __getattr__(self, name: str) -> Any:
        self._judge.require(
            False, f"reads `output.{name}`; an Output has only token_logprobs and logits"
        )


class Broken:
    """What a model predicts whose numbers ran over."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def token_logprobs(self, targets: Tensor) -> Tensor:
        """Nothing is a number."""
        return self._output.token_logprobs(targets).masked_fill(targets != IGNORE, math.nan)

    def logits(self, where: Tensor) -> Iterator[Tensor]:
        """Nothing is a number."""
        for part in self._output.logits(where):
            yield part * math.nan
