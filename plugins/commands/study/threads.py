"""The number of threads of a study's processes, fixed where it changes a loss.

In 16 bits it does. What a process has by itself depends on how many work beside it, and so on how
much of the study is left; one that goes on must not measure everything anew for that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prunekit.engine.files import write_text
from prunekit.engine.rounding import depends_on_threads
from prunekit.engine.stored import read_stored
from prunekit.plugins.commands.study.files import AGAIN

FILE = "threads.json"


def note_threads(folder: Path, jobs: int) -> None:
    """Keep how many threads each of `jobs` processes has, unless an earlier run did."""
    import torch

    if not (folder / FILE).is_file():
        threads = max(1, torch.get_num_threads() // jobs)
        write_text(folder / FILE, json.dumps({"threads": threads}) + "\n")


@contextmanager
def threads_of_first_run(folder: Path) -> Iterator[Callable[[Mapping[str, str]], None]]:
    """Compute with the threads that were kept, or with those of this process where none were.

    Yields a function to call with the fingerprint of the loaded model: where threads change no
    loss, it gives the process its own number back.
    """
    import torch

    own = torch.get_num_threads()
    if (path := folder / FILE).is_file():
        kept = read_stored(path, None, {"threads": int}, AGAIN, _check)
        torch.set_num_threads(kept["threads"])
    try:
        yield lambda facts: None if depends_on_threads(facts) else torch.set_num_threads(own)
    finally:
        torch.set_num_threads(own)


def _check(kept: Mapping[str, int]) -> None:
    if kept["threads"] < 1:
        raise ValueError(f"threads must be 1 or more, not {kept['threads']}")
