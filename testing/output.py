"""Overhear what a plugin writes to standard output."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import IO, Any, cast

from prunekit.testing.contract import Judge


@contextlib.contextmanager
def silent(judge: Judge) -> Iterator[None]:
    """A fault where something is written to standard output, which is shown all the same."""
    overheard = _Overheard(sys.stdout)
    with contextlib.redirect_stdout(cast("IO[str]", overheard)):
        yield
    require_silence(judge, overheard.said)


def require_silence(judge: Judge, said: str) -> None:
    """A fault where anything was written to standard output."""
    first = said.strip().split("\n")[0]
    judge.require(
        not first,
        f"writes to standard output, where prunekit prints results: {first!r}; use logging, or "
        "write to standard error",
    )


class _Overheard:
    """A stream that keeps what is written, and passes everything on."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.said = ""

    def write(self, text: str) -> int:
        self.said += text
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
