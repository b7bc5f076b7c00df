"""Short exercises with one right answer, made by a rule and scored by it.

Each is plain text with worked examples before it, so that models without a chat template
understand it too.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

VOCABULARY = """
    apple river stone green window table cold morning paper silver bridge garden bread winter
    candle horse letter yellow mountain bottle quiet market summer feather copper island button
    forest kettle marble orange pocket rabbit saddle tunnel velvet wagon barrel castle drum
"""
STEPS = (1, 2, 5, 10)


@dataclass(frozen=True)
class Exercise:
    """A text to continue, and the answer that is right."""

    prompt: str
    answer: str


@dataclass(frozen=True)
class Kind:
    """Exercises of one kind."""

    make: Callable[[random.Random], Exercise]
    read: Callable[[str], str]
    """the answer in a continuation, as the right ones are written"""
    new_tokens: int
    says: str


def _copying(rng: random.Random) -> Exercise:
    lines = [" ".join(rng.sample(VOCABULARY.split(), 4)) for _ in range(3)]
    shown = "".join(f"Text: {line}\nCopy: {line}\n\n" for line in lines[:2])
    return Exercise(f"{shown}Text: {lines[2]}\nCopy:", lines[2])


def _arithmetic(rng: random.Random) -> Exercise:
    pairs = [(rng.randint(1, 9), rng.randint(1, 9)) for _ in range(5)]
    *shown, (a, b) = pairs
    solved = "".join(f"{x} + {y} = {x + y}\n" for x, y in shown)
    return Exercise(f"{solved}{a} + {b} =", str(a + b))


def _counting(rng: random.Random) -> Exercise:
    start, step = rng.randint(1, 20), rng.choice(STEPS)
    numbers = [str(start + step * i) for i in range(8)]
    return Exercise(f"{', '.join(numbers[:5])},", " ".join(numbers[5:]))


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].strip()


def _numbers(text: str, count: int) -> str:
    return " ".join(re.findall(r"\d+", text)[:count])


KINDS: Mapping[str, Kind] = {
    "copying": Kind(_copying, _first_line, 20, "four words copied exactly"),
    "arithmetic": Kind(_arithmetic, lambda text: _numbers(text, 1), 6, "sums of two digits right"),
    "counting": Kind(_counting, lambda text: _numbers(text, 3), 16, "next three numbers right"),
}


def exercises_of(kind: str, count: int, seed: int) -> list[Exercise]:
    """Return the exercises of a kind, the same for the same seed.

    >>> exercises_of("arithmetic", 1, 0)[0].answer
    '7'
    """
    rng = random.Random(f"{kind} {seed}")
    return [KINDS[kind].make(rng) for _ in range(count)]


def scores(kind: str, exercises: Sequence[Exercise], texts: Sequence[str]) -> list[float]:
    """Return 1 for each text that gives the right answer, otherwise 0."""
    read = KINDS[kind].read
    return [float(read(text) == ex.answer) for ex, text in zip(exercises, texts, strict=True)]
