r"""Escape untrusted text for the formats that prunekit writes.

The name of a model, a path, a label, a plugin's help or an error may contain any character. Each
format has one function here through which such text passes, so that nothing in it ends a comment, a
quotation, a cell or a row, or is read as a formula or markup.
(HTML is escaped by jinja, SVG by matplotlib, YAML and JSON by their libraries.)
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from unicodedata import category

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of line breaks, other control characters, and lone surrogates."""

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""Characters with which a formula begins in spreadsheets, in both widths."""

MARKUP = re.compile(r"([|*<>\\`\[\]~$]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_]))")

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after the end of a row, this and * would be its options
    "*": "{*}",
    "±": r"$\pm$",
    "∞": r"$\infty$",
    "–": "--",
    "×": r"$\times$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "²": r"$^2$",
    "\u00a0": "~",
}


def one_line(text: str) -> str:
    r"""Return text with hidden characters escaped as in Python.

    >>> print(one_line("a\nb\x1b"))
    a\nb\x1b
    """
    return "".join(
        letter.encode("unicode_escape").decode() if category(letter) in HIDDEN else letter
        for letter in text
    )


def comment_lines(lines: Iterable[str]) -> str:
    r"""Return comments for shell scripts or YAML, one per line.

    >>> comment_lines(["a\nrm b"])
    '# a\\nrm b\n'
    """
    return "".join(f"# {one_line(line)}\n" for line in lines)


def shell_line(words: Iterable[str]) -> str:
    r"""Return a command on one line, with hidden characters quoted for bash, zsh and POSIX 2024.

    >>> print(shell_line(["ls", "a b", "c\nd"]))
    ls 'a b' 'c'$'\x0a''d'
    """
    return " ".join(map(shell_word, words))


def shell_word(word: str) -> str:
    """Quote one word of a command."""
    return "".join(
        f"'$'{_as_bytes(letter)}''" if category(letter) in HIDDEN else letter
        for letter in shlex.quote(word)  # quotes every word with such a letter
    )


def _as_bytes(letter: str) -> str:
    of_a_file_name = "\udc80" <= letter <= "\udcff"  # a byte that is not UTF-8
    data = letter.encode("utf-8", "surrogateescape" if of_a_file_name else "replace")
    return "".join(f"\\x{byte:02x}" for byte in data)


def markdown_text(text: str) -> str:
    r"""Escape text for a line or a cell of Markdown.

    >>> print(markdown_text("a|b <i> arc_easy"))
    a\|b \<i\> arc_easy
    """
    return MARKUP.sub(r"\\\1", one_line(text))


def markdown_code(text: str) -> str:
    """Return a code span; not for tables, where a pipe would end it.

    >>> print(markdown_code("a`b"))
    ``a`b``
    """
    shown = one_line(text)
    longest = max(map(len, re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    space = " " if not shown.strip() or shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{space}{shown}{space}{fence}"


def latex_text(text: str) -> str:
    r"""Escape text for LaTeX.

    >>> print(latex_text("arc_easy: 50 % ± 1"))
    arc\_easy: 50 \% $\pm$ 1
    """
    return "".join(LATEX.get(letter, letter) for letter in one_line(text))


def csv_value(value: object) -> object:
    """Return the value of a cell, with a quote before text that looks like a formula.

    >>> csv_value("=1+1"), csv_value("a-b"), csv_value(-1.5)
    ("'=1+1", 'a-b', -1.5)
    """
    if not isinstance(value, str):
        return value
    shown = one_line(value)
    return f"'{shown}" if shown.lstrip().startswith(FORMULA) else shown
