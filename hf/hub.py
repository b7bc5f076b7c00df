"""Fetch the files of a model from the Hugging Face hub, or find them in its cache."""

from __future__ import annotations

import functools
from pathlib import Path

SMALL = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "*.spm", "*.bpe", "*.py", "*.md")
"""All that a checkpoint is made of but its weights."""


@functools.cache
def fetch(name: str, revision: str | None, patterns: tuple[str, ...]) -> Path:
    """The folder of the cache with the files like these; it is called like the commit.

    A branch is looked up once, so that a process sees one commit of it.
    """
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
