"""Ctrl-C and SIGTERM end a command, whatever a library makes of them."""

import os
import signal

import pytest

from prunekit.cli.stopping import stoppable
from prunekit.core.errors import Interrupted, StorageError


def stopped(number, made_of_it):
    """Send a signal to work that raises this error when it is interrupted."""
    with stoppable():
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            raise made_of_it from None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("made_of_it", [KeyboardInterrupt, RuntimeError, StorageError, SystemError])
def test_an_interruption_stays_one_when_a_library_turns_it_into_an_error(number, made_of_it):
    with pytest.raises(Interrupted, match="stopped; what was measured") as caught:
        stopped(number, made_of_it("result with an exception set"))
    assert caught.value.exit_status == 128 + number


def test_an_error_without_a_signal_stays_itself():
    with pytest.raises(StorageError, match="disk"), stoppable():
        raise StorageError("the disk is full")


def test_what_the_work_says_of_itself_is_kept():
    with pytest.raises(Interrupted, match="best so far") as caught:
        stopped(signal.SIGTERM, Interrupted("best so far: 3"))
    assert caught.value.exit_status == 143


def test_ctrl_c_stays_ignored_where_it_is():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
