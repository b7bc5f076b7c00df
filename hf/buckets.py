"""Run samples of similar length together, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from prunekit.core.batch import Batch
from prunekit.core.interfaces import Output
from prunekit.hf.trees import Forest, Tree, TreeOutput, trees_of

if TYPE_CHECKING:
    from torch import Tensor

MOST_PADDING = 64
"""Tokens of padding in a bucket; more cost as much as another forward pass."""

KEYS = 2048
"""Attention to this number of tokens costs less than all else in a block, even in a narrow one."""


@dataclass(frozen=True)
class Bucket:
    """Samples of a batch that are run together."""

    samples: tuple[int, ...]
    """their numbers in the whole batch"""
    batch: Batch
    """these samples alone, padded to the longest of them"""
    forest: Forest | None = None
    """how they are run if not as plain rows"""

    @property
    def entered(self) -> Batch:
        """What the model runs."""
        return self.forest.batch if self.forest else self.batch

    def output(self, output: Output) -> Output:
        """Return the model's output as one for the rows of `batch`."""
        return TreeOutput(output, self.forest) if self.forest else output


def buckets_of(batch: Batch, trees: bool = False) -> list[Bucket]:
    """Split a batch into buckets of at most MOST_PADDING tokens of padding between samples.

    Which sample is in which bucket depends on their lengths alone. Samples of one length, as
    windows of text, stay together, in their order. With `trees`, samples are run as trees of their
    rows if that is less work.
    """
    rows = batch.sample.bincount(minlength=batch.n_samples).tolist()
    lengths = _lengths(batch)
    groups = grouped(lengths, rows)
    if trees:
        found = trees_of(batch)
        sizes, ones = [len(tree) for tree in found], [1] * batch.n_samples
        forests = grouped(sizes, ones)
        alone = [max(map(len, tree.paths)) for tree in found]
        if _work(forests, sizes, ones) < _work(grouped(alone, rows), alone, rows):
            return [_as_forest(batch, found, group) for group in forests]
    if len(groups) == 1:
        return [Bucket(tuple(range(batch.n_samples)), batch)]
    return [Bucket(tuple(group), only(batch, group)) for group in groups]


def _as_forest(batch: Batch, trees: Sequence[Tree], group: Sequence[int]) -> Bucket:
    rows = only(batch, group)
    forest = Forest.of([trees[sample] for sample in group], rows.input_ids.shape[1])
    return Bucket(tuple(group), rows, forest)


def _work(groups: Sequence[Sequence[int]], lengths: Sequence[int], rows: Sequence[int]) -> int:
    """Return the tokens run, padding included, each by what it costs beside its attention."""
    work = 0
    for group in groups:
        length = max(lengths[i] for i in group)
        work += sum(rows[i] for i in group) * length * (KEYS + length)
    return work


def grouped(lengths: Sequence[int], rows: Sequence[int]) -> list[list[int]]:
    """Group samples of these lengths and numbers of rows, the longest first.

    >>> grouped([9, 300, 10, 290], rows=[4, 4, 4, 4])
    [[1, 3], [2, 0]]
    """
    return list(_grouped(lengths, rows))


def _grouped(lengths: Sequence[int], rows: Sequence[int]) -> Iterator[list[int]]:
    group: list[int] = []
    padding = 0
    for sample in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        more = rows[sample] * (lengths[group[0]] - lengths[sample]) if group else 0
        if padding + more > MOST_PADDING:
            yield group
            group, padding, more = [], 0, 0
        group.append(sample)
        padding += more
    if group:
        yield group


def only(batch: Batch, samples: Sequence[int]) -> Batch:
    """Return the batch with these of its samples, in this order, and no more padding than needed.

    >>> import torch
    >>> ids, mask = torch.tensor([[5, 6], [7, 0]]), torch.tensor([[1, 1], [1, 0]])
    >>> only(Batch(ids, mask, ids, torch.tensor([0, 1]), 2), [1]).input_ids
    tensor([[7]])
    """
    import torch

    rows = torch.cat([(batch.sample == sample).nonzero()[:, 0] for sample in samples])
    width = int(_row_lengths(batch)[rows].max())
    counts = batch.sample.bincount(minlength=batch.n_samples)[list(samples)]
    return replace(
        batch,
        input_ids=batch.input_ids[rows, :width],
        attention_mask=batch.attention_mask[rows, :width],
        targets=batch.targets[rows, :width],
        sample=torch.arange(len(samples)).repeat_interleave(counts),
        n_samples=len(samples),
        extra={name: value[rows] for name, value in batch.extra.items()},
    )


def _row_lengths(batch: Batch) -> Tensor:
    """Return the length of each row without the padding on its right."""
    return batch.attention_mask.sum(1)


def _lengths(batch: Batch) -> list[int]:
    """Return the length of the longest row of each sample."""
    of_rows = _row_lengths(batch)
    return [int(of_rows[batch.sample == sample].max()) for sample in range(batch.n_samples)]
