"""Find plugins that change what later measurements depend on: torch's defaults, and weights."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from prunekit.core.errors import PluginError

if TYPE_CHECKING:
    from torch import Tensor

Default: TypeAlias = tuple[str, Callable[[], Any], Callable[[Any], object]]
"""The name of one of torch's defaults, how to read it and how to set it."""


class Guard:
    """Compares torch's defaults, and the weights of a model, with what they are now.

    Each check costs microseconds. A weight is compared by torch's counter of its changes and by one
    element, which also reveals changes through `.data`.
    """

    def __init__(self, weights: Iterable[Tensor] = ()) -> None:
        import torch

        self._defaults = _defaults()
        self._before = self._read()
        self._weights = [w for w in weights if w.numel() and not w.is_meta]
        self._changes = self._count_changes()
        kinds: dict[Any, list[Tensor]] = defaultdict(list)
        for weight in self._weights:
            corner = weight.detach()[(0,) * weight.dim()].reshape(1)  # in the same memory
            kinds[weight.dtype, weight.device].append(corner)
        self._corners = list(kinds.values())
        self._values = [torch.cat(corners) for corners in self._corners]

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Check the defaults at the end of the context, also of one that fails for that reason."""
        try:
            yield
        finally:
            self.check()

    def check(self) -> None:
        """Raise RuntimeError if one of torch's defaults has changed, and restore it."""
        now = self._read()
        if now == self._before:
            return
        for (name, _, restore), was, becomes in zip(self._defaults, self._before, now, strict=True):
            if was != becomes:
                restore(was)
                raise RuntimeError(
                    f"it changes torch's {name} from {was} to {becomes}, with which everything "
                    "later would be computed; it must restore that"
                )

    def check_weights(self) -> None:
        """Raise RuntimeError if a default or a weight has changed."""
        import torch

        self.check()
        if self._count_changes() != self._changes or not all(
            torch.equal(torch.cat(corners).nan_to_num(), values.nan_to_num())
            for corners, values in zip(self._corners, self._values, strict=True)
        ):
            raise RuntimeError(
                "it changes the weights of the model in place, and all later losses would be those "
                "of another model; it must work on a copy"
            )

    def check_others(self) -> None:
        """Raise PluginError if anything has changed while neither model nor objective ran."""
        try:
            self.check_weights()
        except RuntimeError as error:
            raise PluginError(f"the searcher or another plugin in this process: {error}") from error

    def _read(self) -> list[Any]:
        return [read() for _, read, _ in self._defaults]

    def _count_changes(self) -> int:
        return sum(weight._version for weight in self._weights)


def _defaults() -> list[Default]:
    import torch

    return [
        ("default dtype", torch.get_default_dtype, torch.set_default_dtype),
        ("default device", torch.get_default_device, torch.set_default_device),
        ("number of threads", torch.get_num_threads, torch.set_num_threads),
        (
            "precision of products",
            torch.get_float32_matmul_precision,
            torch.set_float32_matmul_precision,
        ),
    ]
