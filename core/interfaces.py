"""Four kinds of plugins, and signals; commands, repairs and trackers have files of their own.

Optional members have defaults. A plugin may inherit from the class of its kind, or just have the
required methods: the registry then gives it the defaults of the others.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar

from prunekit.core.batch import Batch, Sample
from prunekit.core.measurement import Piece, mean_loss
from prunekit.core.problem import Problem, Subset
from prunekit.core.spec import ModelFacts, Spec

if TYPE_CHECKING:  # plugins are listed without importing torch
    from pathlib import Path

    from torch import Tensor

T = TypeVar("T")
Asking: TypeAlias = Generator[Sequence[Subset], list[float], T]
"""Yields subsets to measure, as a list, `Part` or `Best`, gets losses in order, returns a T."""
Search: TypeAlias = Asking[Subset]
State: TypeAlias = Any
"""What passes between two blocks; opaque outside the adapter that made it."""
Table: TypeAlias = Sequence[Sequence[float]]
Axis: TypeAlias = Literal["one", "samples", "blocks", "boundaries"]


@dataclass(frozen=True)
class Signal:
    """A statistic of the dense model that a searcher may need besides losses.

    It is computed once per model, objective and calibration set, and kept beside the journal.
    """

    name: str
    measure: Callable[[ModelAdapter, Objective, Iterable[Batch]], Table]
    """a function of a module, so that workers can import it; batches are to be streamed"""
    synthetic: Callable[[int], Table]
    """a table of a made-up model with that many blocks, for dry runs and tests"""
    rows: Axis = "blocks"
    columns: Axis = "blocks"
    """`boundaries` are the inputs of all blocks and the output of the last one"""
    derivative: bool = False
    """of the loss, which a mix of objectives adds up by their weights"""

    def shape(self, n_blocks: int, n_samples: int) -> tuple[int, int]:
        """Return the numbers of rows and columns."""
        sizes = {"one": 1, "samples": n_samples, "blocks": n_blocks, "boundaries": n_blocks + 1}
        return sizes[self.rows], sizes[self.columns]


class Searcher(abc.ABC):
    """Decides which subsets to measure. Knows nothing of models or devices."""

    name: ClassVar[str]
    paper: ClassVar[str | None] = None
    one_pass: ClassVar[bool] = False
    """whether it asks for no losses and needs only signals of one dense forward pass"""

    @property
    def needs(self) -> tuple[Signal, ...]:
        """The signals to find, by their names, in `problem.signals`."""
        return ()

    def check_problem(self, problem: Problem) -> None:
        """Raise ConfigError if the problem is unsuitable; called before any model is loaded."""

    @abc.abstractmethod
    def search(self, problem: Problem) -> Search:
        """Choose `problem.budget` blocks; the same losses must lead to the same choices."""


class Output(Protocol):
    """A model's predictions, computed in chunks so that full logits never exist."""

    def token_logprobs(self, targets: Tensor) -> Tensor:
        """Return the float32 log-probability of each target, `[rows, length]`; 0 at IGNORE."""

    def logits(self, where: Tensor) -> Iterator[Tensor]:
        """Yield float32 logits `[places, vocabulary]` at the true places of `where`, in order."""


class Objective(abc.ABC):
    """Turns a model's predictions on calibration samples into one loss; lower is better."""

    name: ClassVar[str]
    unit: ClassVar[str]
    """of the loss: `nats per token`"""
    paper: ClassVar[str | None] = None
    demo_options: ClassVar[Mapping[str, object]] = {}
    """defaults of options with a demo model"""
    differentiable: ClassVar[bool] = True
    reads_targets_only: ClassVar[bool] = False
    """a promise to read no prediction after the last target of a row; rows can share beginnings"""

    @abc.abstractmethod
    def calibration_set(self, tokenizer: Any) -> Sequence[Sample]:
        """Return the samples, the same at every call. Raises ConfigError if there are too few."""

    @abc.abstractmethod
    def measure(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return sums and weights, each `[n_samples]`; differentiable if the model is."""

    def prepare(self, batch: Batch, output: Output) -> Mapping[str, Tensor]:
        """Return what to keep of the dense model's output, to be found in `batch.extra`."""
        return {}

    def prepares(self) -> bool:
        """Return whether `prepare` is to be called, which takes a run of the dense model."""
        return True

    def reduce(self, sums: Sequence[float], weights: Sequence[float]) -> float:
        """Return the loss over all samples."""
        return mean_loss(sums, weights)

    def readings(self, loss: float) -> Mapping[str, float]:
        """Return the loss in other units, such as a perplexity."""
        return {}

    def check_data(self) -> None:
        """Raise ConfigError if the options name data that cannot exist."""

    def disjoint_draws(self) -> int | None:
        """Return how many first values of the option `seed` draw disjoint samples; None: any."""
        return None

    def held_out(self, times: int = 4) -> Objective | None:
        """Return the same objective on samples that `calibration_set` does not draw, or None.

        None of its texts or questions is in the calibration set. It has up to `times` as many, the
        same at every call, and no fewer than that set; None if these cannot be there. Where only a
        tokenizer shows it, its own `calibration_set` raises ConfigError.
        """
        return None

    def typical_sizes(self) -> Mapping[str, float]:
        """Return usual sizes of a calibration set, over that of this one, by their names."""
        return {}

    def parts_by_name(self) -> Mapping[str, float]:
        """Return the weights of other objectives, by name, if this one is made of them.

        Such an objective needs neither `calibration_set` nor `measure`.
        """
        return {}

    def bounds_by_name(self) -> Mapping[str, float]:
        """Return the bounds that such an objective sets on others, by name, each at least 1.

        A bound is on exp(loss - loss of the dense model): in nats, on the ratio of perplexities.
        """
        return {}


class ModelAdapter(abc.ABC):
    """Runs a decoder one block at a time; `copy.deepcopy` makes a second one."""

    name: ClassVar[str]
    demo: ClassVar[Path | None] = None
    """the folder of a small checkpoint, which users name as `demo:NAME`"""
    paper: ClassVar[str | None] = None
    facts: ModelFacts
    rewritten: Sequence[str] = ()
    """names of the weights in which what `without` returned differs from the checkpoint"""

    @classmethod
    @abc.abstractmethod
    def handles(cls, config: Any) -> int:
        """Return 0: no; 1: as well as any other adapter; 2: this is its own family."""

    @classmethod
    @abc.abstractmethod
    def load(cls, checkpoint: Any, device: str, dtype: str) -> ModelAdapter:
        """Read a `prunekit.hf.Checkpoint`. Raises CheckpointError if weights do not fit."""

    @classmethod
    def removal_check(cls, config: Any, trust_remote_code: bool) -> Callable[[Subset], None] | None:
        """Return a function that raises UnfitModel for subsets that `without` will refuse."""
        return None

    def takes_trees(self, length: int) -> bool:
        """Return whether `enter` takes a `TreeBatch` of rows up to this length, exactly."""
        return False

    @abc.abstractmethod
    def enter(self, batch: Batch) -> State:
        """Return the input of block 0."""

    @abc.abstractmethod
    def block(self, index: int, state: State) -> State:
        """Run one block; must not modify `state`."""

    @abc.abstractmethod
    def gated_block(self, index: int, state: State, gate: Tensor) -> State:
        """Run it with the output of each sub-layer multiplied by `gate`, `[rows]` or `[1]`."""

    def state_bytes(self, state: State) -> int:
        """Return the memory that a state takes by itself; with 0, no state is kept."""
        return 0

    @abc.abstractmethod
    def hidden(self, state: State) -> Tensor:
        """Return the hidden state, `[rows, length, width]`."""

    @abc.abstractmethod
    def output(self, state: State) -> Output:
        """Apply final norm and head, lazily."""

    @abc.abstractmethod
    def reference(self, batch: Batch, removed: Subset) -> Tensor:
        """Return logits `[rows, length, vocabulary]` of the model's own forward pass."""

    @abc.abstractmethod
    def bypassing(self, removed: Subset) -> AbstractContextManager[Any]:
        """Enter the model itself, with these blocks passing their input on; without a cache."""

    @abc.abstractmethod
    def without(self, removed: Subset) -> Any:
        """Return the model without these blocks, ready for `save_pretrained`.

        The adapter is spent, as the model may share its weights. With nothing to remove the model
        is made anew all the same. Raises UnfitModel if no checkpoint can hold such a model.
        """


class Meter(abc.ABC):
    """Measures pruned variants of one model on one calibration set."""

    facts: ModelFacts
    adapter: ModelAdapter | None = None
    """the loaded model if it is in this process, so that the next meter can use it"""
    replicas: int = 1  # places that measure at once

    @property
    def states_kept(self) -> int:
        """How many states of the whole calibration set it keeps from one request to the next."""
        return 0

    @abc.abstractmethod
    def measure(self, wanted: Sequence[Sequence[Subset]]) -> Iterator[Piece]:
        """Yield one piece for each subset in `wanted[b]`, for each batch b, in any order."""

    @abc.abstractmethod
    def signal(self, signal: Signal) -> Table:
        """Measure a signal of the dense model."""

    def close(self) -> None:
        """Free devices and workers."""


class Backend(abc.ABC):
    """Opens a meter: in this process, on a cluster, ..."""

    name: ClassVar[str]
    paper: ClassVar[str | None] = None

    @abc.abstractmethod
    def open(self, spec: Spec, objective: Objective, batches: Sequence[Batch]) -> Meter:
        """Load the model where it will run."""
