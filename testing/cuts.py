"""Made-up cuts on which repairs are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from prunekit.core.repair import Cut

if TYPE_CHECKING:
    from torch import Generator, Tensor

WIDTH = 12
HUGE = 1000.0
"""How many times as large the stream of an outlier is."""


@dataclass(frozen=True)
class Case:
    """A cut, and how it differs from others."""

    words: str
    cut: Cut


def cases(needed: int) -> Iterator[Case]:
    """Yield cuts; `needed` is the least number of tokens that the repair asks for."""
    some = max(needed, 4 * WIDTH)
    yield Case("where the removed blocks add as much as the stream holds", _made_up(some))
    yield Case("where they add nothing", _idle(_made_up(some)))
    yield Case(f"with as few tokens as `tokens_needed` asks for ({needed:,})", _made_up(needed))
    for name in ("before", "fed", "after"):
        yield Case(
            f"where one token is {HUGE:g} times as large in `{name}`",
            _changed(_made_up(some), [name], _first_huge),
        )
    yield Case(
        f"where one token is {HUGE:g} times as large everywhere",
        _changed(_made_up(some), ["before", "fed", "after"], _first_huge),
    )
    yield Case(
        "where the feed-forward layer leaves a channel as it is",
        _changed(_made_up(some), ["fed"], _first_channel_zero),
    )


def _made_up(tokens: int) -> Cut:
    """Return a cut whose blocks scale the stream, mix what was fed, and add noise."""
    import torch

    chance = torch.Generator().manual_seed(0)
    entered, fed, unknown = (_random(tokens, chance) for _ in range(3))
    before = entered + fed
    after = 1.5 * before + fed @ _random(WIDTH, chance) / WIDTH**0.5 + 0.1 * unknown
    return Cut(before, fed, after)


def _random(rows: int, chance: Generator) -> Tensor:
    import torch

    return torch.randn(rows, WIDTH, generator=chance)


def _idle(cut: Cut) -> Cut:
    return replace(cut, after=cut.before.clone())


def _changed(cut: Cut, names: list[str], change: Callable[[Tensor], None]) -> Cut:
    for name in names:
        change(getattr(cut, name))
    return cut


def _first_huge(stream: Tensor) -> None:
    stream[0] *= HUGE


def _first_channel_zero(stream: Tensor) -> None:
    stream[:, 0] = 0
