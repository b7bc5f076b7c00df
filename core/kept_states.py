"""Keep states from one request to the next, so that a known prefix of blocks is not run again."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from prunekit.core.problem import Subset
from prunekit.core.trie import block_runs, walk

State = TypeVar("State")


class _Place(Generic[State]):
    """A place in the trie, whose state is computed when a subset needs it."""

    __slots__ = ("before", "block", "ran", "state")

    def __init__(self, ran: int, block: int, before: _Place[State] | None) -> None:
        self.ran = ran
        """the blocks that ran up to here, a bit for each"""
        self.block = block
        """the last one that ran"""
        self.before = before
        """None once the state is known"""
        self.state: State | None = None

    def after(self, block: int) -> _Place[State]:
        return _Place(self.ran | 1 << block, block, self)


class KeptStates(Generic[State]):
    """Up to `most` states of one batch; those that were not used for longest make room.

    If a request passes more states than can be kept, every second, third, ... along each path is:
    a later request then runs a few blocks from the nearest one instead of all from the first.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._states: OrderedDict[int, State] = OrderedDict()
        """by the blocks that ran, a bit for each: nothing else changes a state"""

    def __len__(self) -> int:
        return len(self._states)

    def walk(
        self,
        subsets: Iterable[Subset],
        n_blocks: int,
        enter: Callable[[], State],
        run: Callable[[int, State], State],
    ) -> Iterator[tuple[State, Subset]]:
        """Yield what comes out of the last block for every subset, as `trie.walk` does.

        `enter()` is the input of block 0. Besides the kept states, at most one for each open branch
        is alive at a time.

        The trie is walked first, and a state is computed when a subset ends at its place: of 3
        blocks, {2} ends behind 0 and 1. From there `reach` goes back to the nearest known state,
        the input, and forward again through 0 and 1. Then {} ends behind 0, 1 and 2, and one step
        back from there the state is known: only 2 runs.
        """
        wanted = set(subsets)
        stride = math.ceil(block_runs(wanted, n_blocks) / self.most) if self.most else 0
        root: _Place[State] = _Place(0, -1, None)

        def reach(place: _Place[State]) -> State:
            path = [place]
            while path[-1].state is None and not self._recall(path[-1]):
                if path[-1].before is None:
                    self._keep(path[-1], enter(), stride)
                else:
                    path.append(path[-1].before)
            state = path.pop().state
            assert state is not None
            for step in reversed(path):
                state = run(step.block, state)
                self._keep(step, state, stride)
            return state

        for place, subset in walk(wanted, n_blocks, root, lambda i, before: before.after(i)):
            yield reach(place), subset

    def _recall(self, place: _Place[State]) -> bool:
        """Look a state up; return whether it was kept."""
        if place.ran not in self._states:
            return False
        self._states.move_to_end(place.ran)
        place.state, place.before = self._states[place.ran], None
        return True

    def _keep(self, place: _Place[State], state: State, stride: int) -> None:
        place.state, place.before = state, None  # what lies before is needed no more
        if stride and place.ran.bit_count() % stride == 0:
            self._states[place.ran] = state
            if len(self._states) > self.most:
                self._states.popitem(last=False)


def runs_on(kept: KeptStates[bool], subsets: Iterable[Subset], n_blocks: int) -> int:
    """Count the blocks that run for these subsets, after those of earlier calls, without a model.

    >>> kept = KeptStates[bool](most=100)
    >>> runs_on(kept, [frozenset({3})], 5), runs_on(kept, [frozenset({4})], 5)
    (4, 1)
    """
    runs = 0

    def count(index: int, state: bool) -> bool:
        nonlocal runs
        runs += 1
        return state

    for _ in kept.walk(subsets, n_blocks, lambda: True, count):
        pass
    return runs
