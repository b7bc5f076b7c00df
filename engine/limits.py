"""Budgets in other units than blocks: shares of parameters, parameters, memory and speed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.engine.sizes import bytes_in, count_in, short_bytes, short_count
from prunekit.engine.weights import Weights

BUDGET = "budget"
LIMITS = ("shrink", "max_parameters", "max_memory", "min_speedup")
"""Settings that are resolved to a budget, the smallest that holds whichever blocks go."""
NO_LIMITS: Mapping[str, Any] = dict.fromkeys(LIMITS)
SHARE = re.compile(r"(\d{1,2}(?:\.\d+)?)%", re.ASCII)


@dataclass(frozen=True)
class Limit:
    """What has to be removed, in parameters, or in those that are read for each token."""

    setting: str
    text: str
    of_blocks: Sequence[int]
    """that go with each block that may be removed"""
    whole: int
    needed: Fraction
    width: int
    """bytes of a parameter"""

    def budget(self, n_blocks: int, period: int) -> int:
        """Return the smallest number of blocks that suffices whichever they are, in whole periods.

        Raises ConfigError if no number does, and if nothing has to go.
        """
        if self.needed <= 0:
            raise self._error(f"{self.said(0)} already; take a tighter limit, or give --budget")
        sizes = sorted(self.of_blocks)
        most = min(len(sizes), n_blocks - 1) // period * period
        for budget in range(period, most + 1, period):
            if sum(sizes[:budget]) >= self.needed:
                return budget
        protect = ", or protect fewer blocks" if len(sizes) < n_blocks else ""
        raise self._error(
            f"{self.said(sum(sizes[:most]))} without {most} of its {n_blocks} blocks, the most "
            f"that can go; take that or a looser limit{protect}"
        )

    def said(self, removed: int) -> str:
        """Say what the model has if that much is removed, in the unit of the setting."""
        left = self.whole - removed
        if self.setting == "shrink":
            share = math.floor(1000 * removed / self.whole) / 10
            return f"the model is {share:g}% smaller"
        if self.setting == "min_speedup":
            speedup = math.floor(100 * self.whole / left) / 100 if left else math.inf
            return f"decoding is {speedup:g} times as fast"
        if self.setting == "max_memory":
            return f"the weights take {short_bytes(left * self.width, up=True)}"
        return f"the model has {short_count(left, up=True)} parameters"

    def _error(self, reason: str) -> ConfigError:
        return ConfigError(f"{self.setting} {self.text}: {reason}", (self.setting,))


def is_limited(settings: Mapping[str, Any]) -> bool:
    """Return whether settings give the budget in another unit."""
    return any(settings[name] is not None for name in LIMITS)


def limit_in(settings: Mapping[str, Any], weights: Weights, removable: Sequence[int]) -> Limit:
    """Return the one limit among settings, of a model from which these blocks can be removed.

    Raises ConfigError if it makes no sense for this model.
    """
    setting = next(name for name in LIMITS if settings[name] is not None)
    text, counts = f"{settings[setting]}", weights.counts
    whole, needed = counts.total, Fraction(0)
    if setting == "shrink":
        needed = whole * Fraction(text.removesuffix("%")) / 100
    elif setting == "max_parameters":
        needed = Fraction(whole - count_in(text, setting))
    elif setting == "max_memory":
        needed = whole - Fraction(bytes_in(text, setting), weights.width)
    limit = Limit(
        setting, text, [counts.of_blocks[i] for i in removable], whole, needed, weights.width
    )
    return limit if setting != "min_speedup" else _speedup(limit, weights, removable)


def _speedup(limit: Limit, weights: Weights, removable: Sequence[int]) -> Limit:
    """Return the limit in parameters that are read for each token, which decoding waits for."""
    counts = weights.counts
    if counts.has_experts:
        raise ConfigError(
            f"{limit.setting} {limit.text}: a token reads only some of this model's experts, so "
            "that no count of parameters predicts its speed; give --budget, and time the result "
            "with `prunekit latency`",
            (limit.setting,),
        )
    needed = counts.read - counts.read / Fraction(limit.text)
    of_blocks = [counts.read_by_blocks[i] for i in removable]
    return replace(limit, of_blocks=of_blocks, whole=counts.read, needed=needed)


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with their limit as text. Raises ConfigError for two, and a malformed one."""
    named = [name for name in (BUDGET, *LIMITS) if given.get(name) is not None]
    if len(named) > 1:
        raise ConfigError(
            f"{' and '.join(named)} were given, and each says how many blocks to remove; give one",
            (named[-1],),
        )
    found = dict(given)
    for name in set(named) & set(LIMITS[:3]):
        found[name] = _text(name, given[name])
    return found


def _text(name: str, given: object) -> str:
    text = "" if isinstance(given, bool) else str(given).strip()
    if name == "shrink" and not SHARE.fullmatch(text):
        raise ConfigError(
            f"shrink: expected a share of the parameters, as 20%, got {given!r}", (name,)
        )
    if name == "max_parameters":
        count_in(text, name)
    if name == "max_memory":
        bytes_in(text, name)
    return text


def without_limits(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without budgets of any unit, as another one replaces them."""
    return {name: value for name, value in settings.items() if name not in (BUDGET, *LIMITS)}
