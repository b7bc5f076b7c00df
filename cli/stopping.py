"""End a command on Ctrl-C, or on SIGTERM as schedulers send it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from prunekit.core.errors import Interrupted


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn both into an Interrupted that says how to resume; only its exit status differs."""
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    here = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if here else None
    try:
        with _farewell():
            yield
    except Interrupted as error:
        if received:
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
