"""Run a command of prunekit in this process, and check what users may rely on."""

import contextlib
import hashlib
import io
import json
import signal
import sys
import traceback
from dataclasses import dataclass
from fnmatch import fnmatch

SECONDS = 20
LONGEST = 2100
"""Characters of an error, so that what is wrong in it can be found."""
FAILED = ("error: ", "would fail: ", "failed: ", "not evaluated: ")
"""How a line begins that says what was wrong: of a command, or of some cells of a study."""
FINE = (*FAILED, "note: ", "no --model given", "missing: ", "not drawn: ")
"""How lines on standard error begin; a command may also print usage, and what else it says."""


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    status: object
    out: str
    err: str
    trace: str = ""
    timed_out: bool = False


class _TimeOut(BaseException):
    """The time is up."""


def run_patiently(argv):
    """Type a command; once more if it is late, since machines are busy and lm-eval is slow once."""
    outcome = run(argv)
    return run(argv, 3 * SECONDS) if outcome.timed_out else outcome


def run(argv, seconds=SECONDS):
    """Type a command, and stop it after this time."""
    from prunekit.cli.main import main

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    state = {"late": False}

    def stop(number, frame):
        state["late"] = True
        raise _TimeOut

    status, trace, before = 0, "", (sys.argv, signal.signal(signal.SIGALRM, stop))
    sys.argv = ["prunekit", *map(str, argv)]
    signal.alarm(seconds)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        status = end.code or 0
    except BaseException as error:  # whatever a user would see as a traceback
        status, trace = type(error).__name__, "".join(traceback.format_exception(error))
    finally:
        signal.alarm(0)
        sys.argv, _ = before[0], signal.signal(signal.SIGALRM, before[1])
    return Outcome(status, _text(out), _text(err), trace, state["late"])


def _text(stream):
    stream.flush()
    return stream.buffer.getvalue().decode(errors="backslashreplace")


def digests(folder):
    """Return a digest of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def faults(outcome, before, after, writes, names, json_out=False):
    """Yield what is wrong with an outcome, the kind first.

    `before` and `after` are digests; `writes` are patterns of the files that the command may
    write, those of `out` only if it succeeds; an error has one of the `names`, if there are any.
    """
    lines = [line for line in outcome.err.split("\n") if line.strip()]
    if outcome.timed_out:
        yield f"time: it took more than {3 * SECONDS} s"
    elif outcome.trace:
        yield f"traceback: {_place(outcome.trace)}"
    elif outcome.status not in (0, 1, 2) and not _missed_a_gate(outcome, lines):
        yield f"status: {outcome.status}"
    elif "Traceback (most recent call last)" in outcome.err + outcome.out:
        yield "traceback: printed"
    elif outcome.status in (1, 2):
        errors = [line for line in lines if line.startswith(FAILED)]
        other = [line for line in lines if not line.startswith(FINE)]
        is_usage = outcome.status == 2 and lines and lines[0].startswith("Usage: ")
        if not is_usage and (len(errors) != 1 or other):
            yield f"words: expected one line of error, got {lines[:4]}"
        elif not is_usage and len(errors[0]) > LONGEST:
            yield f"long: {len(errors[0])} characters: {errors[0][:200]}"
        elif names and not is_usage and not any(name in errors[0] for name in names):
            yield f"nameless: {errors[0]}"
    elif strange := [line for line in lines if not line.startswith(FINE)]:
        yield f"words: {strange[:3]}"
    elif json_out and not _is_json(outcome.out):
        yield f"json: {outcome.out[:80]!r}"
    yield from _touched(outcome, before, after, writes)


def _missed_a_gate(outcome, lines):
    return outcome.status == 3 and lines[-1].startswith("not certified: ")


def _touched(outcome, before, after, writes):
    for name in sorted({*before, *after}):
        allowed = any(fnmatch(name, pattern) for pattern in writes)
        if before.get(name) != after.get(name) and not allowed:
            yield f"files: {'wrote' if name not in before else 'changed'} {name}"
        if outcome.status and name not in before and name.startswith("out"):
            yield f"partial: {name}"
        if ".partial-" in name:
            yield f"partial: {name}"


def _is_json(text):
    try:
        json.loads(text, parse_constant=_refuse)
    except ValueError:
        return False
    return True


def _refuse(word):
    raise ValueError(word)


def _place(trace):
    """Return the last line of a traceback, and where in prunekit it came from."""
    lines = trace.strip().splitlines()
    frames = [line.strip() for line in lines if line.strip().startswith("File ")]
    own = [f for f in frames if "site-packages" not in f and "/lib/python" not in f]
    where = own[-1].split("/")[-1].replace('"', "") if own else ""
    return f"{lines[-1][:160]} at {where}"
