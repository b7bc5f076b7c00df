"""End a command on Ctrl-C, or on SIGTERM as schedulers send it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from prunekit.core.errors import Interrupted

FAREWELL = "stopped; what was measured, if anything was, is kept: the same command goes on from it"
"""For work that has no words of its own."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn both into an Interrupted that says how to resume; only its exit status differs.

    A library may turn the interruption into an error of its own, so after a signal every exception
    counts as one.
    """
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    with _handled_by(stop):
        try:
            yield
        except BaseException as error:
            if not (received or isinstance(error, KeyboardInterrupt)):
                raise
            stopped = error if isinstance(error, Interrupted) else Interrupted(FAREWELL)
            stopped.exit_status = 128 + (received or [signal.SIGINT])[0]
            raise stopped from None


@contextmanager
def _handled_by(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle both signals in the main thread; Ctrl-C stays ignored where it is."""
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        numbers.append(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
