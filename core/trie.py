"""Walk many subsets through the blocks together, running each common prefix once.

Two subsets that agree on every block before `i` enter block `i` with the same hidden state. A set
of subsets is therefore a trie of keep-or-skip decisions, and a block is run once for each of its
branches instead of once for each subset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from prunekit.core.problem import Subset

State = TypeVar("State")


def walk(
    subsets: Iterable[Subset],
    n_blocks: int,
    state: State,
    run: Callable[[int, State], State],
    index: int = 0,
) -> Iterator[tuple[State, Subset]]:
    """Yield what comes out of the last block for every subset, depth first.

    `state` enters block `index`, before which the subsets agree; `run(i, state)` is block `i`, and
    must leave its input as it is. At most one state per open branch is alive at a time.
    """
    group = list(subsets)
    while index < n_blocks:
        skip = [s for s in group if index in s]
        keep = [s for s in group if index not in s]
        index += 1
        if not keep:
            continue
        if skip:
            yield from walk(skip, n_blocks, state, run, index)
        state = run(index - 1, state)
        group = keep
    for subset in group:
        yield state, subset


def block_runs(subsets: Iterable[Subset], n_blocks: int) -> int:
    """Return the number of blocks that `walk` runs for these subsets.

    >>> block_runs([frozenset({i}) for i in range(32)], 32)
    527
    """
    return sum(runs_of_each(subsets, n_blocks).values())


def runs_of_each(subsets: Iterable[Subset], n_blocks: int) -> dict[Subset, int]:
    """Return the subsets in the order of `walk`, each with the blocks run after the one before it.

    >>> runs_of_each([frozenset(), frozenset({3})], 4)
    {frozenset({3}): 3, frozenset(): 1}
    """
    order = sorted(((_bits(s, n_blocks), s) for s in set(subsets)), reverse=True)
    found: dict[Subset, int] = {}
    before = None
    for bits, subset in order:
        left = n_blocks if before is None else (bits ^ before).bit_length()
        found[subset] = left - (bits & ((1 << left) - 1)).bit_count()
        before = bits
    return found


def _bits(subset: Subset, n_blocks: int) -> int:
    """Return the subset as bits, block 0 first: `walk` goes from the highest number to the lowest.

    Neighbours in this order share the blocks above their highest differing bit.
    """
    return sum(1 << (n_blocks - 1 - block) for block in subset)


def block_runs_alone(subsets: Iterable[Subset], n_blocks: int) -> int:
    """Return the number of blocks that run if each subset is measured by itself.

    >>> block_runs_alone([frozenset({i}) for i in range(32)], 32)
    992
    """
    return sum(n_blocks - len(s) for s in subsets)
