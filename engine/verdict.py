"""Say in words what a ratio of perplexities means for the answers of a pruned model.

The thresholds are rules of thumb, with their reasons in docs/verdict.md. A perplexity alone does
not show whether a model still writes; only its text does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from prunekit.engine.reading import Difference
from prunekit.hf.tokens import perplexity

UNREPAIRED = "repair or "
"""What a model that is repaired already does not lack."""
WIDE = 1.2
"""An interval whose end is this multiple of its beginning is remarked on."""


@dataclass(frozen=True)
class Level:
    """What to expect of a model whose perplexity, over the dense one's, is below a threshold."""

    name: str
    below: float
    short: str
    says: str


LEVELS = (
    Level(
        "better",
        0.95,
        "better on this text",
        "better on this text; evaluate other text before you trust it",
    ),
    Level("unchanged", 1.05, "hardly changed", "hardly changed"),
    Level("usable", 1.3, "usable for many tasks", "usable for many tasks; check yours"),
    Level("worse", 2.0, "worse answers", "expect worse answers; fine-tune it"),
    Level(
        "broken",
        math.inf,
        "broken answers",
        "expect broken answers without repair or fine-tuning",
    ),
)


@dataclass(frozen=True)
class LogRatio:
    """The logarithm of a ratio of perplexities: the pruned loss minus the dense one."""

    value: float | None
    """in nats per token; None if the pruned loss is not finite"""
    standard_error: float | None
    """over samples; None if it is unknown"""
    samples: int | None
    """how many the error is from; None if it is unknown, as in results of earlier versions"""

    @classmethod
    def of(cls, difference: Difference, samples: int | None) -> LogRatio:
        """Take the difference of two losses in nats per token."""
        return cls(difference.value, difference.standard_error, samples)


@dataclass(frozen=True)
class Verdict:
    """What a ratio of perplexities says."""

    ratio: float | None
    """the pruned over the dense perplexity; None if it is not finite"""
    low: float | None
    high: float | None
    """the ends of its 95 % interval; None if they are unknown or not finite"""
    level: str | None
    """the name of one of LEVELS; None if the interval spans several, or is unknown"""
    words: str
    remark: str
    """on an interval that is wide; empty if it is not"""


def judge(log_ratio: LogRatio, on: str = "", base: str = "dense model") -> Verdict:
    """Return the verdict on a ratio; `on` says what it was measured on, `base` over which model.

    The interval is Student's, in the logarithm. Its level is known where both ends have the same.

    >>> judge(LogRatio(math.log(1.8), 0.03, 64), " on 64 held-out samples").words
    "perplexity 1.80 times the dense model's (1.70 to 1.91) on 64 held-out samples: expect worse \
answers; fine-tune it"
    """
    if log_ratio.value is None:
        words = f"perplexity not finite{on}: {LEVELS[-1].says}"
        return Verdict(None, None, None, LEVELS[-1].name, words, "")
    ratio = perplexity(log_ratio.value)
    half = _half_width(log_ratio)
    head = f"perplexity {_times(ratio)} times the {base}'s"
    if half is None:
        words = f"{head}{on}, with an unknown error, so what to expect is unknown"
        return Verdict(_known(ratio), None, None, None, words, "")
    low, high = (perplexity(log_ratio.value + end) for end in (-half, half))
    first, last = level_of(low), level_of(high)
    return Verdict(
        ratio=_known(ratio),
        low=_known(low),
        high=_known(high),
        level=first.name if first is last else None,
        words=f"{head} ({_times(low)} to {_times(high)}){on}: {_expect(first, last)}",
        remark=_remark(low, high, log_ratio.samples),
    )


def level_of(ratio: float) -> Level:
    """Return the level of a ratio of perplexities.

    >>> [level_of(ratio).name for ratio in (1.049, 1.05, 1.3, 2.0, math.inf)]
    ['unchanged', 'usable', 'worse', 'broken', 'broken']
    """
    return next((level for level in LEVELS if ratio < level.below), LEVELS[-1])


def _half_width(log_ratio: LogRatio) -> float | None:
    """Return half of the 95 % interval; normal where the number of samples is unknown."""
    from scipy.special import stdtrit

    error, samples = log_ratio.standard_error, log_ratio.samples
    if error is None or (samples is not None and samples < 2):
        return None
    freedom = math.inf if samples is None else samples - 1
    return float(stdtrit(freedom, 0.975)) * error


def _expect(first: Level, last: Level) -> str:
    if first is last:
        return last.says
    return f"between {first.short} and {last.short}; more samples would show"


def _remark(low: float, high: float, samples: int | None) -> str:
    if high <= WIDE * low:
        return ""
    counted = "so few samples" if samples is None else f"only {samples} samples"
    return f"the interval is wide, from {counted}: measure more of them"


def _known(ratio: float) -> float | None:
    return ratio if math.isfinite(ratio) else None


def _times(ratio: float) -> str:
    """Format a ratio.

    >>> _times(1.234), _times(1234.5), _times(1e9)
    ('1.23', '1,234', '1e+09')
    """
    if ratio < 10:
        return f"{ratio:.2f}"
    return f"{ratio:,.0f}" if ratio < 1e5 else f"{ratio:.2g}"
