"""Give the stream after a cut the size that it has in the dense model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import LEAST_SCALE, Cut, Patch, Repair, hookimpl


@dataclass(frozen=True)
class Magnitude(Repair):
    """Scale the stream by the ratio of its mean norms after and before the removed blocks.

    As Prune&Comp (arXiv 2507.18212). Published code scales what writes into the stream before a
    cut, embeddings included; here what writes into it later is divided, which is the same to the
    norms that read it, and leaves tied embeddings tied.
    """

    name: ClassVar[str] = "magnitude"
    paper: ClassVar[str] = "arXiv 2507.18212"

    def patches(self, cut: Cut) -> Iterator[Patch]:
        """Yield the one, of a stream that hardly ever shrinks."""
        ratio = float(cut.after.norm(dim=-1).mean() / cut.before.norm(dim=-1).mean())
        yield Patch(scale=max(LEAST_SCALE, ratio))


@hookimpl
def prunekit_repairs() -> list[type]:
    return [Magnitude]
