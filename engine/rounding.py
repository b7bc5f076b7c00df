"""Rounding in 16 bits: the effect of batch shapes and threads on a loss.

A matrix product rounds its sums to 16 bits at the end, and the order of summation depends on the
number of rows, their length and the number of threads; each block carries on the rounding of the
one before it. The margin of one sample then differs by up to 0.005 on the demo models; on
SmolLM2-135M by up to 0.16 with the batches, and by up to 0.13 with the threads. In float32 only the
last digits differ. So in 16 bits a measurement in another arrangement is a different measurement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from prunekit.core.batch import Batch
from prunekit.hf.buckets import Bucket, buckets_of

SHORT = ("bfloat16", "float16")


def arrangement(fingerprint: Mapping[str, str], layout: object) -> dict[str, str]:
    """Identify the arrangement if it changes a loss; otherwise return an empty mapping.

    `fingerprint` is that of the model's facts, `layout` the shapes of the batches.
    """
    if not depends_on_layout(fingerprint):
        return {}
    import torch

    digest = hashlib.blake2b(repr(layout).encode(), digest_size=8).hexdigest()
    threads = {"threads": str(torch.get_num_threads())} if depends_on_threads(fingerprint) else {}
    return {"layout": digest, **threads}


def depends_on_layout(fingerprint: Mapping[str, str]) -> bool:
    """Return True if the batches of samples change a loss."""
    return fingerprint.get("dtype") in SHORT


def depends_on_threads(fingerprint: Mapping[str, str]) -> bool:
    """Return True if the number of threads changes a loss."""
    return depends_on_layout(fingerprint) and fingerprint.get("device") == "cpu"


def shapes(batches: Sequence[Batch], trees: bool = False) -> list[tuple[object, ...]]:
    """Return rows and length of every batch, or those of its buckets if it has several.

    `trees` says whether the objective allows trees. Whether a model takes them depends on nothing
    that is not in its fingerprint.
    """
    return [_shape(buckets_of(batch, trees)) for batch in batches]


def _shape(buckets: Sequence[Bucket]) -> tuple[object, ...]:
    each = [tuple(bucket.entered.input_ids.shape) for bucket in buckets]
    return each[0] if len(each) == 1 else tuple(each)
