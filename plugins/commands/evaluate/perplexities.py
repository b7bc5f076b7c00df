"""Measure perplexities of several variants of one model, each common prefix of blocks once."""

from __future__ import annotations

from collections.abc import Sequence

from prunekit.core.interfaces import Batch, ModelAdapter
from prunekit.core.measurement import Measurement, Piece
from prunekit.core.prefix import PrefixMeter
from prunekit.core.problem import Subset
from prunekit.plugins.commands.evaluate.readings import PerplexityReading
from prunekit.plugins.commands.evaluate.watching import Watcher
from prunekit.plugins.commands.evaluate.windows import Windows


def measure_perplexities(
    adapter: ModelAdapter,
    windows: Windows,
    subsets: Sequence[Subset],
    batches: Sequence[Batch],
    watcher: Watcher,
) -> dict[Subset, PerplexityReading]:
    """The perplexity of every variant on the same windows, which `batches` hold.

    No full logits are ever built.
    """
    meter = PrefixMeter(adapter, windows, batches)
    pieces: dict[Subset, list[Piece]] = {subset: [] for subset in subsets}
    total = len(windows.samples) * len(pieces)
    done = 0
    for piece in meter.measure([list(pieces)] * len(batches)):
        pieces[piece.subset].append(piece)
        done += len(piece.sums)
        watcher.count(done, total, "windows")
    name, record = windows.protocol.name, windows.record
    return {s: PerplexityReading(name, _joined(p), record) for s, p in pieces.items()}


def _joined(pieces: Sequence[Piece]) -> Measurement:
    ordered = sorted(pieces, key=lambda piece: piece.batch)
    return Measurement(
        tuple(x for piece in ordered for x in piece.sums),
        tuple(w for piece in ordered for w in piece.weights),
    )
