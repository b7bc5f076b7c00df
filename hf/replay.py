"""Record how a model calls its blocks, and replay the calls.

Whatever the model's own code makes for its blocks, masks, rotary embeddings, positions, is recorded
once and handed to a block again when it is run alone. That is right only where a block hands
nothing but its hidden state to the next; `probe.py` checks this and names the obstacle.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunekit.hf.blocks import block_path

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Call:
    """The arguments of a block besides the hidden state."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    keyword: str | None
    """the name under which the hidden state is handed over; None where it is the first argument"""

    def complete(self, hidden: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """All arguments, with this hidden state."""
        if self.keyword is None:
            return (hidden, *self.args), self.kwargs
        return self.args, {self.keyword: hidden, **self.kwargs}


class Blocks:
    """The blocks of a model, and a stand-in for each when the model calls it."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Raises CheckpointError if the model holds no list of blocks."""
        self.path = block_path(model)
        modules: Any = model.get_submodule(self.path)
        self.modules: list[Any] = list(modules)
        self.parameters = [list(inspect.signature(m.forward).parameters) for m in self.modules]
        """the names of each block's own parameters"""
        self.extras: list[int | None] = [None] * len(self.modules)
        """how many more things each block returns in a tuple; None where it returns no tuple"""
        self.rows_axis = 0
        """the axis of hidden states that counts rows; the next one counts positions"""

    def __len__(self) -> int:
        return len(self.modules)

    def run(self, index: int, hidden: Tensor, call: Call) -> Tensor:
        """Run one block on a hidden state."""
        args, kwargs = call.complete(hidden)
        return hidden_in(self.modules[index](*args, **kwargs))

    def passing_on(self, index: int, hidden: Tensor) -> Any:
        """A hidden state as this block would return it."""
        extras = self.extras[index]
        return hidden if extras is None else (hidden, *[None] * extras)

    @contextlib.contextmanager
    def doing(self, act: Callable[[int, Tensor, Call], Any]) -> Iterator[None]:
        """The model's blocks do this instead, for as long as it lasts."""
        with contextlib.ExitStack() as stack:
            for index in range(len(self)):
                stack.enter_context(self.replaced(index, act))
            yield

    @contextlib.contextmanager
    def replaced(self, index: int, act: Callable[[int, Tensor, Call], Any]) -> Iterator[None]:
        """One block does this instead: `act(index, hidden, call)`."""
        block = self.modules[index]
        before = vars(block).get("forward")

        def forward(*args: Any, **kwargs: Any) -> Any:
            return act(index, *self.split(index, args, kwargs))

        block.forward = forward
        try:
            yield
        finally:
            del block.forward
            if before is not None:  # somebody else had replaced it already
                block.forward = before

    def split(self, index: int, args: Any, kwargs: Any) -> tuple[Tensor, Call]:
        """The hidden state among a block's arguments, and the others."""
        if args:
            return args[0], Call(args[1:], kwargs, None)
        keyword = self.parameters[index][0]
        others = {name: value for name, value in kwargs.items() if name != keyword}
        return kwargs[keyword], Call((), others, keyword)


def hidden_in(output: Any) -> Tensor:
    """Some families' blocks return more than the hidden state."""
    hidden: Tensor = output[0] if isinstance(output, tuple | list) else output
    return hidden
