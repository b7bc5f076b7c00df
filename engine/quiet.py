"""Silence the logs, warnings and progress bars of other libraries."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any, cast

from prunekit.core.errors import Remark

QUIET = {
    "DATASETS_VERBOSITY": "critical",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}
VERBOSE = "PRUNEKIT_VERBOSE"
NO_REMARKS = "PRUNEKIT_NO_REMARKS"
"""Disables remarks in the worker processes of a study."""
LOGGERS = ("transformers", "torch", "datasets", "huggingface_hub", "lm_eval")


def quiet_libraries() -> None:
    """Silence other libraries until this process ends.

    Settings in the user's environment take precedence, and PRUNEKIT_VERBOSE=1 disables this. Can be
    called before the libraries are imported.
    """
    if os.environ.get(VERBOSE):
        return
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    _ignore_warnings()
    for library in LOGGERS:
        logging.getLogger(library).setLevel(logging.ERROR)
    if "datasets" in sys.modules:  # too late for its variable
        cast(Any, sys.modules["datasets"]).disable_progress_bars()


@contextmanager
def quietly() -> Iterator[None]:
    """Silence other libraries inside the context, in a process of the user's."""
    is_quiet = all(name in os.environ for name in QUIET)
    if is_quiet or os.environ.get(VERBOSE):
        yield
        return
    with ExitStack() as undo:
        undo.enter_context(warnings.catch_warnings())
        _ignore_warnings()
        _hide_bars(undo)
        for library in LOGGERS:
            logger = logging.getLogger(library)
            undo.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.ERROR)
        yield


def show_remarks(show: Callable[[str], None] | None) -> None:
    """Pass every Remark to `show`, each text once, or ignore it if None.

    Other warnings are unaffected.
    """
    os.environ.pop(NO_REMARKS, None)
    if show is None:
        os.environ[NO_REMARKS] = "1"
    warnings.simplefilter("ignore" if show is None else "always", Remark)
    others, shown = warnings.showwarning, set[str]()

    def forward(message: Warning | str, *where: Any) -> None:
        if not show or not isinstance(message, Remark):
            others(message, *where)
        elif (text := str(message)) not in shown:
            shown.add(text)
            show(text)

    warnings.showwarning = cast(Any, forward)


def _ignore_warnings() -> None:
    warnings.filterwarnings("ignore", module="transformers|torch|datasets|huggingface_hub|tqdm")


def _hide_bars(undo: ExitStack) -> None:
    """Hide visible progress bars; transformers toggles those of huggingface_hub too."""
    names = ("huggingface_hub.utils", "transformers.utils.logging", "datasets")
    hub, transformers, datasets = (cast(Any, import_module(name)) for name in names)
    if "HF_HUB_DISABLE_PROGRESS_BARS" not in os.environ:
        hidden = hub.are_progress_bars_disabled()
        undo.callback(hub.disable_progress_bars if hidden else hub.enable_progress_bars)
        if transformers.is_progress_bar_enabled():
            undo.callback(transformers.enable_progress_bar)
        transformers.disable_progress_bar()
    ours = "HF_DATASETS_DISABLE_PROGRESS_BARS" not in os.environ
    if ours and not datasets.are_progress_bars_disabled():
        undo.callback(datasets.enable_progress_bars)
        datasets.disable_progress_bars()
