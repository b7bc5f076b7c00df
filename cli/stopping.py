"""End a command that is told to stop: by Ctrl-C, or by SIGTERM as schedulers send it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from prunekit.core.errors import Interrupted


@contextmanager
def stoppable() -> Iterator[None]:
    """Both say what was kept and how to go on; only the exit status tells them apart."""
    told: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        told.append(number)
        raise KeyboardInterrupt

    here = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if here else None
    try:
        with _farewell():
            yield
    except Interrupted as error:
        if told:
            error.exit_status = 128 + signal.SIGTERM
        raise
    finally:
        if here:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _farewell() -> Iterator[None]:
    """A word for the work that says none of its own."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(
            "stopped; what was measured, if anything was, is kept: the same command goes on from it"
        ) from None
