"""Share what the rows of a sample begin with: run each sample as one tree of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prunekit.core.batch import IGNORE, Batch, TreeBatch
from prunekit.core.interfaces import Output

if TYPE_CHECKING:
    from torch import Tensor

PLACES_AT_ONCE = 512
"""Places for which `TreeOutput.logits` holds logits together."""


@dataclass
class Tree:
    """The tokens of some rows, with common beginnings once; parents come before children."""

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    """-1 for the first token of a row"""
    paths: list[list[int]] = field(default_factory=list)
    """the nodes of each row"""
    _children: dict[tuple[int, int], int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tokens)

    def add(self, row: Sequence[int]) -> None:
        """Add a row; of its tokens only those after a beginning that is there already.

        >>> tree = Tree()
        >>> tree.add([7, 8, 9]); tree.add([7, 8, 5]); tree.tokens, tree.paths
        ([7, 8, 9, 5], [[0, 1, 2], [0, 1, 3]])
        """
        path: list[int] = []
        for token in row:
            parent = path[-1] if path else -1
            node = self._children.setdefault((parent, token), len(self))
            if node == len(self):
                self.tokens.append(token)
                self.parents.append(parent)
            path.append(node)
        self.paths.append(path)


def trees_of(batch: Batch) -> list[Tree]:
    """Return the tree of each sample's rows, without tokens after the last one that predicts."""
    import torch

    places = torch.arange(1, batch.targets.shape[1] + 1)
    lengths = ((batch.targets != IGNORE) * places).amax(1).tolist()
    trees = [Tree() for _ in range(batch.n_samples)]
    for sample, ids, length in zip(
        batch.sample.tolist(), batch.input_ids.tolist(), lengths, strict=True
    ):
        trees[sample].add(ids[: max(length, 1)])
    return trees


@dataclass(frozen=True)
class Forest:
    """The trees of a batch's samples, and which node is at each place of its rows."""

    batch: TreeBatch
    nodes: Tensor
    """`[rows, length]` of the batch of rows: index into the flattened batch of trees; -1 after the
    last target of a row"""

    @classmethod
    def of(cls, trees: Sequence[Tree], length: int) -> Forest:
        """Batch the trees of rows that are padded to a length."""
        import torch

        width = max(map(len, trees))
        ids, positions = (torch.zeros(len(trees), width, dtype=torch.long) for _ in range(2))
        visible = torch.eye(width, dtype=torch.bool).repeat(len(trees), 1, 1)
        nodes = torch.full((sum(len(tree.paths) for tree in trees), length), -1)
        paths = ((i, path) for i, tree in enumerate(trees) for path in tree.paths)
        for row, (i, path) in enumerate(paths):
            nodes[row, : len(path)] = torch.tensor(path) + i * width
        for i, tree in enumerate(trees):
            ids[i, : len(tree)] = torch.tensor(tree.tokens)
            for node, parent in enumerate(tree.parents):
                if parent >= 0:
                    visible[i, node] |= visible[i, parent]
                    positions[i, node] = positions[i, parent] + 1
        sizes = torch.tensor([[len(tree)] for tree in trees])
        mask = (torch.arange(width) < sizes).long()
        batch = TreeBatch(
            input_ids=ids,
            attention_mask=mask,
            targets=torch.full_like(ids, IGNORE),
            sample=torch.arange(len(trees)),
            n_samples=len(trees),
            positions=positions,
            visible=visible,
        )
        return cls(batch, nodes)


class TreeOutput:
    """The predictions for rows, from the output of a model for their trees."""

    def __init__(self, output: Output, forest: Forest) -> None:
        self._output = output
        self._nodes = forest.nodes
        self._shape = forest.batch.input_ids.shape

    def token_logprobs(self, targets: Tensor) -> Tensor:
        """Return the float32 log-probability of each target, `[rows, length]`; 0 at IGNORE.

        A node at which several rows predict goes through the head once.
        """
        import torch

        where = (targets != IGNORE).cpu()
        wanted, of_place = torch.unique(self._nodes_at(where), return_inverse=True)
        words, start = targets.cpu()[where], 0
        places, chosen = [], []
        for logits in self._output.logits(self._at(wanted)):
            end = start + len(logits)
            here = ((of_place >= start) & (of_place < end)).nonzero()[:, 0]
            rows, columns = ((of_place[here] - start), words[here])
            chosen.append(logits.log_softmax(-1)[rows.to(logits.device), columns.to(logits.device)])
            places.append(here)
            start = end
        values = torch.cat(chosen)
        in_order = values[torch.cat(places).argsort().to(values.device)]
        logprobs = torch.zeros(targets.shape, device=values.device)
        return logprobs.masked_scatter(where.to(values.device), in_order)

    def logits(self, where: Tensor) -> Iterator[Tensor]:
        """Yield float32 logits `[places, vocabulary]` at the true places of `where`, in order."""
        import torch

        for nodes in torch.split(self._nodes_at(where.cpu()), PLACES_AT_ONCE):
            wanted, of_place = torch.unique(nodes, return_inverse=True)
            logits = torch.cat(list(self._output.logits(self._at(wanted))))
            yield logits[of_place.to(logits.device)]

    def _nodes_at(self, where: Tensor) -> Tensor:
        nodes = self._nodes[where]
        if (nodes < 0).any():
            raise ValueError(
                "it reads predictions after the last target of a row, but declares "
                "`reads_targets_only`; drop that"
            )
        return nodes

    def _at(self, nodes: Tensor) -> Tensor:
        """Return where these nodes are in the batch of trees."""
        import torch

        at = torch.zeros(self._shape, dtype=torch.bool)
        at.view(-1)[nodes] = True
        return at
