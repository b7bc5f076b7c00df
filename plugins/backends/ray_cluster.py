"""Connect to a Ray cluster, or start a temporary one."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from types import FrameType
from typing import Any

from prunekit.core import ConfigError, PrunekitError
from prunekit.hf import first_line

LOCAL, AUTO = "local", "auto"
HOST_AND_PORT = re.compile(r"[^/\s]+:\d{1,5}")
QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the default of newer versions
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # else dead workers are logged to standard output
    "RAY_USAGE_STATS_ENABLED": "0",
}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Makes Ray listen on the loopback interface alone, as it does on Windows and macOS."""
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
"""Makes a cluster serve this process and its own replicas only."""
SECONDS_TO_ANSWER = 5.0
SECONDS_TO_END = 10.0


class Connection:
    """The one connection of this process to a cluster, shared by all meters."""

    def __init__(self) -> None:
        self.knows_token = False
        """Ray was imported while `TOKEN` was set; it is read only then"""
        self._users = 0
        self._undo = contextlib.ExitStack()

    def join(self, address: str) -> None:
        """Connect, or start a cluster on this machine. Raises ConfigError if that fails.

        If the process is already connected, that cluster is used and left running.
        """
        ray = _import_ray(address)
        if not self._users and not ray.is_initialized():
            self._undo.enter_context(_started(ray) if address == LOCAL else _found(ray, address))
        self._users += 1

    def leave(self) -> None:
        """Undo a `join`; the last to leave disconnects, and ends a cluster started here."""
        self._users -= 1
        if not self._users:
            self._undo.close()


CONNECTION = Connection()


def lifelines() -> tuple[str, str]:
    """Return the addresses of the cluster's head and of the node this process is connected to.

    Within a minute after either is gone Ray kills this process, before anything can be saved.
    """
    import ray

    context: Any = ray.get_runtime_context()
    nodes: Any = ray.nodes()  # type: ignore[no-untyped-call]
    (node,) = (node for node in nodes if node["NodeID"] == context.get_node_id())
    return context.gcs_address, f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"


def check_alive(addresses: Iterable[str]) -> None:
    """Raise PrunekitError if one of these HOST:PORT does not answer."""
    for address in addresses:
        if reason := _silence(address):
            raise PrunekitError(
                f"the Ray cluster is gone (at {address}: {reason}); what was measured is kept: run "
                "the same command again when the cluster is back"
            )


def check_installed() -> None:
    """Raise ConfigError if Ray is not installed, without importing it."""
    if find_spec("ray") is None:
        raise ConfigError('the backend ray needs Ray; run: pip install "prunekit[ray]"')


def _import_ray(address: str) -> Any:
    """Import Ray, which reads some of its environment variables only then."""
    if address == LOCAL and "ray" not in sys.modules:
        CONNECTION.knows_token = True
    with _environment(address):
        import ray
    return ray


@contextlib.contextmanager
def _started(ray: Any) -> Iterator[None]:
    """Start a cluster; stop its processes and remove its files afterwards."""
    # Not the usual folder for temporary files, whose path may be too long for sockets. Ray's own is
    # world-writable, so it is put into one that is closed to others.
    folder = tempfile.mkdtemp(prefix="prunekit-", dir=os.environ.get("RAY_TMPDIR", "/tmp"))
    try:
        with _environment(LOCAL), _uninterrupted():
            within = os.path.join(folder, "ray")
            _init(ray, address=LOCAL, include_dashboard=False, _temp_dir=within)
        yield
    finally:
        with _uninterrupted():
            ray.shutdown()
            _remove(folder)


@contextlib.contextmanager
def _found(ray: Any, address: str) -> Iterator[None]:
    """Connect to a cluster, and leave it running."""
    given = os.environ.get("RAY_ADDRESS", address) if address == AUTO else address
    if given != AUTO and not HOST_AND_PORT.fullmatch(given):
        raise _unusable(given, "expected local, auto or HOST:PORT of the cluster's head")
    if given != AUTO and (reason := _silence(given)):  # Ray would try for minutes
        raise _unusable(given, reason)
    try:
        with _environment(given):
            _init(ray, address=given)
    except ConnectionError as error:
        why = "no cluster found" if given == AUTO else "not a Ray cluster, or authentication failed"
        raise _unusable(given, f"{why}; if it requires a token, set RAY_AUTH_MODE=token") from error
    except (RuntimeError, ray.exceptions.RayError) as error:
        raise _unusable(given, first_line(error)) from error
    try:
        yield
    finally:
        ray.shutdown()


def _unusable(address: str, reason: str) -> ConfigError:
    return ConfigError(
        f"ray.address: {address!r} cannot be used ({reason}); start a cluster with `ray start "
        "--head`, or drop the option to start one for this run only",
        ("ray", "address"),
    )


def _silence(address: str) -> str:
    """Return the reason why HOST:PORT does not answer, or an empty text."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_ANSWER).close()
    except OSError as error:
        return error.strerror or str(error)
    except OverflowError as error:
        return str(error)
    return ""


def _init(ray: Any, **where: Any) -> None:
    level = logging.INFO if _talks() else logging.CRITICAL
    ray.init(log_to_driver=_talks(), logging_level=level, **where)


def _remove(folder: str) -> None:
    """Remove a folder to which terminating processes may still write for a moment."""
    end = time.monotonic() + SECONDS_TO_END
    while os.path.exists(folder) and time.monotonic() < end:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM: a half-started cluster would outlive this process.

    Ray handles SIGTERM itself once it is connected; the earlier handler is restored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler != signal.SIG_DFL or signal.getsignal(number) is hold:
                signal.signal(number, handler)
    for held_back in held:
        signal.raise_signal(held_back)


def _talks() -> bool:
    """Return True if the logs of other libraries are wanted."""
    return bool(os.environ.get("PRUNEKIT_VERBOSE"))


@contextlib.contextmanager
def _environment(address: str) -> Iterator[None]:
    """Add settings for Ray, except those already set in the user's environment."""
    wanted: Mapping[str, str] = {**({} if _talks() else QUIET)}
    if address == LOCAL:
        wanted = {**wanted, **LOOPBACK, **(TOKEN if CONNECTION.knows_token else {})}
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
