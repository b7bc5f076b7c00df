"""Record how a model calls its blocks, and replay the calls.

The arguments that the model's own code builds for its blocks, such as masks, rotary embeddings and
positions, are recorded once and passed to a block again when it runs alone. That is correct only if
blocks pass nothing but the hidden state to each other, which `inspect_blocks` checks.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import UnfitModel
from prunekit.hf.blocks import block_path
from prunekit.hf.runnable import runnable

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Call:
    """The arguments of a block besides the hidden state."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    keyword: str | None
    """the keyword of the hidden state; None if it is the first positional argument"""

    def complete(self, hidden: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return all arguments, with this hidden state."""
        if self.keyword is None:
            return (hidden, *self.args), self.kwargs
        return self.args, {self.keyword: hidden, **self.kwargs}


class Blocks:
    """The blocks of a model, whose calls can be intercepted."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Find the blocks. Raises CheckpointError if the model has no list of blocks."""
        self.path = block_path(model)
        modules: Any = model.get_submodule(self.path)
        self.modules: list[Any] = list(modules)
        self.parameters = [list(inspect.signature(m.forward).parameters) for m in self.modules]
        """the names of each block's own parameters"""
        self.extras: list[int | None] = [None] * len(self.modules)
        """number of further values in the tuple that each block returns; None without a tuple"""
        self.rows_axis = 0
        """the axis of rows in hidden states; the next one is that of positions"""

    def __len__(self) -> int:
        return len(self.modules)

    def run(self, index: int, hidden: Tensor, call: Call) -> Tensor:
        """Run one block on a hidden state."""
        args, kwargs = call.complete(hidden)
        return hidden_in(self.modules[index](*args, **kwargs))

    def passing_on(self, index: int, hidden: Tensor) -> Any:
        """Return a hidden state in the form in which this block would return it."""
        extras = self.extras[index]
        return hidden if extras is None else (hidden, *[None] * extras)

    @contextlib.contextmanager
    def doing(self, act: Callable[[int, Tensor, Call], Any]) -> Iterator[None]:
        """Replace the forward of every block inside the context."""
        with contextlib.ExitStack() as stack:
            for index in range(len(self)):
                stack.enter_context(self.replaced(index, act))
            yield

    @contextlib.contextmanager
    def replaced(self, index: int, act: Callable[[int, Tensor, Call], Any]) -> Iterator[None]:
        """Replace the forward of one block by `act(index, hidden, call)` inside the context."""
        block = self.modules[index]
        before = vars(block).get("forward")

        def forward(*args: Any, **kwargs: Any) -> Any:
            return act(index, *self.split(index, args, kwargs))

        block.forward = forward
        try:
            yield
        finally:
            del block.forward
            if before is not None:  # it was already replaced
                block.forward = before

    def split(self, index: int, args: Any, kwargs: Any) -> tuple[Tensor, Call]:
        """Separate the hidden state from a block's other arguments."""
        if args:
            return args[0], Call(args[1:], kwargs, None)
        keyword = self.parameters[index][0]
        others = {name: value for name, value in kwargs.items() if name != keyword}
        return kwargs[keyword], Call((), others, keyword)


def hidden_in(output: Any) -> Tensor:
    """Return the hidden state in a block's output, which may hold more."""
    hidden: Tensor = output[0] if isinstance(output, tuple | list) else output
    return hidden


def inspect_blocks(blocks: Blocks, run: Callable[[], Any], rows: int, length: int) -> None:
    """Probe the blocks with two forward passes; record in `blocks` what they return.

    `run` is the model's own forward pass on `rows` rows of `length` positions. In the second one
    every block is bypassed. Raises UnfitModel if the model does not call each block once and in
    order, if it changes the hidden state in between, or if another argument of a block differs
    between the two passes: then an earlier block computed or changed it.
    """
    with runnable("its own forward does not run on text alone"):
        run()
    called, real = _watch(blocks, run)
    if called != list(range(len(blocks))):
        order = ",".join(map(str, called)) or "none"
        raise UnfitModel(
            f"its forward calls blocks {order}, not each of {len(blocks)} once in turn"
        )
    with runnable("its forward does not run when every block passes its hidden state on"):
        hidden, bare = _record(blocks, run)
    blocks.rows_axis = _rows_axis(hidden[0], rows, length)
    for index in range(1, len(blocks)):
        if not same(hidden[index], hidden[0]):
            raise UnfitModel(f"its forward changes the hidden state before block {index}")
        for name, value in real[index].items():
            if not same(value, bare[index].get(name)):
                raise UnfitModel(f"block {index} takes `{name}`, which an earlier block computes")


def _watch(blocks: Blocks, run: Callable[[], Any]) -> tuple[list[int], dict[int, dict[str, Any]]]:
    """Run a forward pass; return the blocks that it calls, in order, and their arguments."""
    called: list[int] = []
    given: dict[int, dict[str, Any]] = {}

    def before(index: int, args: Any, kwargs: Any) -> None:
        called.append(index)
        given[index] = _named(blocks, index, blocks.split(index, args, kwargs)[1])

    def after(index: int, output: Any) -> None:
        blocks.extras[index] = len(output) - 1 if isinstance(output, tuple | list) else None

    with contextlib.ExitStack() as stack:
        for index, module in enumerate(blocks.modules):
            hooks = (
                module.register_forward_pre_hook(
                    lambda _, args, kwargs, index=index: before(index, args, kwargs),
                    with_kwargs=True,
                ),
                module.register_forward_hook(lambda _, a, out, index=index: after(index, out)),
            )
            for hook in hooks:
                stack.callback(hook.remove)
        run()
    return called, given


def _record(blocks: Blocks, run: Callable[[], Any]) -> tuple[list[Tensor], list[dict[str, Any]]]:
    """Run a forward pass with every block bypassed; return hidden states and arguments."""
    hidden_states: list[Tensor] = []
    given: list[dict[str, Any]] = []

    def record(index: int, hidden: Tensor, call: Call) -> Any:
        hidden_states.append(snapshot(hidden))
        given.append(_named(blocks, index, call))
        return blocks.passing_on(index, hidden)

    with blocks.doing(record):
        run()
    return hidden_states, given


def _named(blocks: Blocks, index: int, call: Call) -> dict[str, Any]:
    """Return a snapshot of the arguments by name."""
    names = blocks.parameters[index][1:] if call.keyword is None else []
    named = dict(zip(names, call.args, strict=False))
    more = {f"argument {n + 1}": a for n, a in enumerate(call.args) if n >= len(names)}
    kept: dict[str, Any] = snapshot({**named, **more, **call.kwargs})
    return kept


def _rows_axis(hidden: Tensor, rows: int, length: int) -> int:
    axes = [a for a in range(hidden.dim() - 1) if tuple(hidden.shape[a : a + 2]) == (rows, length)]
    if len(axes) != 1:
        raise UnfitModel(
            f"its hidden states are {tuple(hidden.shape)} for {rows} rows of {length} tokens; "
            "which axes are rows and tokens is unclear"
        )
    return axes[0]


DEPTH = 6
"""Maximum nesting of containers; deeper ones are compared by identity."""


def snapshot(value: Any, depth: int = DEPTH) -> Any:
    """Copy the tensors and containers in `value`; keep other objects as they are."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if depth and isinstance(value, dict):
        return {key: snapshot(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, list | tuple):
        return [snapshot(item, depth - 1) for item in value]
    if depth and hasattr(value, "__dict__") and not isinstance(value, type | torch.nn.Module):
        return {"is": type(value), **snapshot(vars(value), depth - 1)}
    return value


def same(one: Any, other: Any) -> bool:
    """Return True if two snapshots hold the same numbers."""
    import torch

    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one is other or bool(one == other)
