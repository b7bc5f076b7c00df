"""Keep other libraries from talking over prunekit."""

from __future__ import annotations

import logging
import os
import warnings

QUIET = {
    "DATASETS_VERBOSITY": "critical",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}


def quiet_libraries() -> None:
    """Silence progress bars and advice, but for what the user's own environment asks for.

    PRUNEKIT_VERBOSE=1 leaves everything as it is. Works before the libraries are imported.
    """
    if os.environ.get("PRUNEKIT_VERBOSE"):
        return
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", module="transformers|torch|datasets|huggingface_hub")
    for library in ("transformers", "torch", "datasets", "huggingface_hub", "lm_eval"):
        logging.getLogger(library).setLevel(logging.ERROR)
