"""Numbers from 0 to 1 that say whether a text is one: higher is better.

Repetition is rep-n (Welleck et al., arXiv 1908.04319), variety distinct-n (Li et al., arXiv
1510.03055), both over tokens.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from prunekit.plugins.commands.certify.generation import Written

SHORTEST = 3
"""Tokens below which a text that ended was given up."""
RARE = 0.01
"""Share of letters below which a script is none that the dense model writes in."""
PAIRS = {"(": ")", "[": "]", "{": "}", "“": "”", "«": "»"}


def unrepeated(text: Written, n: int = 4) -> float:
    """Return the share of its sequences of n tokens that are no repetition: 1 - rep-n.

    >>> unrepeated(Written((1, 2, 1, 2, 1), False, ""), n=2)
    0.5
    """
    return _distinct([text.tokens], n)


def variety(texts: Sequence[Written], n: int = 2) -> float:
    """Return distinct-n of all texts after one prompt together."""
    return _distinct([text.tokens for text in texts], n)


def _distinct(rows: Iterable[Sequence[int]], n: int) -> float:
    grams = [tuple(row[i : i + n]) for row in rows for i in range(len(row) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 1.0


def answered(text: Written) -> float:
    """Return 0 for a text that ended before it began."""
    return float(not text.ended or len(text.tokens) >= SHORTEST)


def ended(text: Written) -> float:
    """Return 1 for a text that the model ended itself."""
    return float(text.ended)


def script_of(letter: str) -> str:
    """Return the script of a letter, as Unicode names it.

    >>> script_of("a"), script_of("я")
    ('LATIN', 'CYRILLIC')
    """
    return unicodedata.name(letter, "").partition(" ")[0]


def scripts_of(texts: Iterable[str]) -> set[str]:
    """Return the scripts of these texts, but for those that hardly occur."""
    counts = Counter(script_of(letter) for text in texts for letter in text if letter.isalpha())
    return {script for script, n in counts.items() if n >= RARE * counts.total()}


def in_scripts(text: str, scripts: set[str]) -> float:
    """Return the share of its letters in these scripts; 1 without letters."""
    letters = [letter for letter in text if letter.isalpha()]
    return sum(script_of(x) in scripts for x in letters) / len(letters) if letters else 1.0


def trigrams(text: str) -> set[str]:
    """Return all sequences of three characters in lower case, of letters and single spaces."""
    plain = " ".join("".join(c if c.isalpha() else " " for c in text.lower()).split())
    return {plain[i : i + 3] for i in range(len(plain) - 2)}


def in_language(text: str, known: set[str]) -> float:
    """Return the share of its different trigrams that are known; 1 without any."""
    found = trigrams(text)
    return len(found & known) / len(found) if found else 1.0


def balanced(text: Written) -> float:
    """Return 0 if a bracket or quote is closed that is not open, or open where the text ended.

    >>> [balanced(Written((), True, text)) for text in ('(a [b] "c")', "(a]", "(a", "a 1)")]
    [1.0, 0.0, 0.0, 1.0]
    """
    opened: list[str] = []
    for before, c in zip(f" {text.text}", text.text, strict=False):
        if c in PAIRS:
            opened.append(PAIRS[c])
        elif c == ")" and not opened and before.isalnum():
            continue  # of a list: a) and 1)
        elif c in PAIRS.values() and (not opened or opened.pop() != c):
            return 0.0
    return float(not text.ended or (not opened and text.text.count('"') % 2 == 0))
