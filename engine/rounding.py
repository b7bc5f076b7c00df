"""What changes a loss in a dtype of 16 bits, and none in float32 but by its last digits.

A product rounds its sums to 16 bits at the end, and in which order it adds them up depends on how
many rows it has, how long they are and how many threads share the work; each block carries on what
the one before it rounded. The margin of one sample then differs by up to 0.005 on the demo models;
on SmolLM2-135M by up to 0.16 with the batches, and by up to 0.13 with the threads.
So what was measured in another arrangement is another measurement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from prunekit.core.interfaces import Batch

SHORT = ("bfloat16", "float16")


def arrangement(fingerprint: Mapping[str, str], layout: object) -> dict[str, str]:
    """What tells one arrangement from another, where that changes a loss; else nothing.

    `fingerprint` is that of the model's facts, `layout` how samples are batched.
    """
    if not depends_on_layout(fingerprint):
        return {}
    import torch

    digest = hashlib.blake2b(repr(layout).encode(), digest_size=8).hexdigest()
    threads = {"threads": str(torch.get_num_threads())} if depends_on_threads(fingerprint) else {}
    return {"layout": digest, **threads}


def depends_on_layout(fingerprint: Mapping[str, str]) -> bool:
    """Whether the batches of samples change a loss."""
    return fingerprint.get("dtype") in SHORT


def depends_on_threads(fingerprint: Mapping[str, str]) -> bool:
    """Whether the number of threads changes a loss."""
    return depends_on_layout(fingerprint) and fingerprint.get("device") == "cpu"


def shapes(batches: Sequence[Batch]) -> list[tuple[int, ...]]:
    """Rows and length of every batch."""
    return [tuple(batch.input_ids.shape) for batch in batches]
