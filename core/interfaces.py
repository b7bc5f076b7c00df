"""The four things that a plugin can be. None needs a base class, only the methods."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from prunekit.core.measurement import Piece
from prunekit.core.problem import Problem, Subset

if TYPE_CHECKING:  # plugins are listed without importing torch
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from prunekit.hf.checkpoint import Checkpoint

IGNORE = -100
"""In `targets`: nothing is predicted at this position."""

OWN_DTYPE = "own"
"""As a dtype: the one in which the checkpoint is stored."""

Sample: TypeAlias = "Mapping[str, Tensor]"
"""One calibration text or question, which one sum belongs to.

`input_ids` and `targets` are `[rows, length]`; `targets[r, t]` is the token to be predicted at
position t, or IGNORE. Whatever else `measure` needs is a tensor with one entry a row.
"""

Search: TypeAlias = Generator[Sequence[Subset], list[float], Subset]
"""Yields the subsets it wants measured, receives their losses in that order, returns its choice."""

State: TypeAlias = Any
"""What passes between two blocks; only the adapter that made it looks inside."""


@dataclass(frozen=True)
class Batch:
    """Some samples, padded on the right to one length."""

    input_ids: Tensor
    """`[rows, length]`"""
    attention_mask: Tensor
    """`[rows, length]`, 0 at padding"""
    targets: Tensor
    """`[rows, length]`, the token to be predicted at each position, or IGNORE"""
    sample: Tensor
    """`[rows]`, which sample of this batch each row belongs to"""
    n_samples: int
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    """the other tensors of the samples, one entry a row"""


@dataclass(frozen=True)
class Spec:
    """What a worker needs to rebuild the model: plain, picklable data."""

    model: str
    revision: str | None = None
    adapter: str | None = None
    trust_remote_code: bool = False
    device: str = "auto"
    dtype: str = "auto"
    tokens_per_forward: int = 8192


@dataclass(frozen=True)
class ModelFacts:
    """What is to be known of a loaded model."""

    n_blocks: int
    parameters: int
    block_parameters: tuple[int, ...]
    fingerprint: Mapping[str, str]
    """Everything about model and machine that changes a loss: `weights`, adapter, dtype, ..."""


class Searcher(Protocol):
    """Decides which subsets to measure. Knows nothing of models or devices.

    A searcher that needs more than losses names it in `needs`, out of `signals.SIGNALS`, and finds
    it in `problem.signals`. It may also have `check_problem(problem) -> None`, which raises
    ConfigError where the problem is none for it; that is asked before a model is loaded, when no
    signals are there yet. Any plugin may have `paper`, which says where it is from.
    """

    name: ClassVar[str]

    def search(self, problem: Problem) -> Search:
        """Look for `problem.budget` blocks; the same losses must lead to the same choices."""
        ...


class Output(Protocol):
    """What a model predicts, made for chunks of positions so that no full logits exist."""

    def token_logprobs(self, targets: Tensor) -> Tensor:
        """Log-probability in float32 of each target, `[rows, length]`; 0 where it is IGNORE."""
        ...

    def logits(self, where: Tensor) -> Iterator[Tensor]:
        """Logits in float32 at the true places of `where` `[rows, length]`, some at a time.

        Each part is `[places, words]`; the parts follow each other in the order of `where`.
        """
        ...


class Objective(Protocol):
    """Turns what a model predicts on calibration samples into one loss; lower is better.

    An objective may also have `reduce(sums, weights) -> float`, where its loss is not the sum of
    sums over the sum of weights; `readings(loss) -> dict[str, float]`, other numbers that say the
    same, such as a perplexity; `prepare(batch, output) -> dict[str, Tensor]`, what it wants to keep
    of the dense model's output, found again in `batch.extra`; `check_data() -> None`, which raises
    ConfigError where its options name data that cannot be there; `disjoint_draws() -> int | None`,
    how many first values of its option `seed` give samples in common with no other; `demo_options`,
    defaults that hold with a demo model; and `differentiable = False`, where it counts and has no
    derivative. One that is made of others has `parts_by_name() -> dict[str, float]`, their names
    and weights, and then needs no methods of its own.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    """What a loss counts: `nats per token`."""

    def calibration_set(self, tokenizer: PreTrainedTokenizerBase) -> Sequence[Sample]:
        """The samples, the same at every call; ConfigError where there are too few."""
        ...

    def measure(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """Sums and weights, each `[n_samples]`; differentiable where the model is."""
        ...


class ModelAdapter(Protocol):
    """Runs a decoder one block at a time. `block` must leave its input as it is.

    A loaded adapter is copied by `copy.deepcopy` where two variants are to stand side by side.
    An adapter may also have `demo`, the folder of a small checkpoint of its own, which users then
    name as `demo:NAME`; and a class method `removal_check(config, trust_remote_code)`, which gives
    a function that raises UnfitModel for subsets that `without` will refuse, or None.
    """

    name: ClassVar[str]
    facts: ModelFacts

    @classmethod
    def handles(cls, config: PretrainedConfig) -> int:
        """0: not such a model; 1: as well as any other; 2: this is its own family."""
        ...

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str, dtype: str) -> ModelAdapter:
        """Read the weights; CheckpointError where they are missing or do not fit."""
        ...

    def enter(self, batch: Batch) -> State:
        """What goes into block 0."""
        ...

    def block(self, index: int, state: State) -> State:
        """What comes out of block `index`."""
        ...

    def gated_block(self, index: int, state: State, gate: Tensor) -> State:
        """The same with what each sub-layer adds multiplied by `gate`, `[rows]` or `[1]`."""
        ...

    def hidden(self, state: State) -> Tensor:
        """The hidden state itself, `[rows, length, width]`."""
        ...

    def output(self, state: State) -> Output:
        """Final norm and head, applied when asked."""
        ...

    def reference(self, batch: Batch, removed: Subset) -> Tensor:
        """Logits `[rows, length, words]` of the model's own forward with blocks bypassed."""
        ...

    def bypassing(self, removed: Subset) -> AbstractContextManager[PreTrainedModel]:
        """The model itself, in which these blocks pass their input on for as long as it lasts.

        It does not work with a cache, which counts the tokens that went through block 0.
        """
        ...

    def without(self, removed: Subset) -> PreTrainedModel:
        """The model with these blocks gone, ready for `save_pretrained`; the adapter is spent.

        With none to remove it is made anew all the same, and in the same state. It may share the
        adapter's weights. UnfitModel where no checkpoint can hold such a model.
        """
        ...


class Meter(Protocol):
    """Measures pruned variants of one model on one calibration set.

    A meter may also have `adapter`, the loaded model where it is in this process, so that who opens
    one meter after the other can keep it for the next; and `replicas`, where it measures in several
    places, how many.
    """

    facts: ModelFacts

    def measure(self, wanted: Sequence[Sequence[Subset]]) -> Iterator[Piece]:
        """One piece for each subset in `wanted[b]`, for each batch b, in any order."""
        ...

    def signal(self, name: str) -> Sequence[Sequence[float]]:
        """A signal of the dense model, one of `signals.SIGNALS`."""
        ...

    def close(self) -> None:
        """Free devices and workers."""
        ...


class Backend(Protocol):
    """Opens a meter: in this process, on a cluster, ..."""

    name: ClassVar[str]

    def open(self, spec: Spec, objective: Objective, batches: Sequence[Batch]) -> Meter:
        """Load the model where it will run."""
        ...
