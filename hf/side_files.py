"""Copy the files of tokenizer, processors and generation, and licences, from the source unchanged.

Nothing is saved anew, as other programs may not read the format of the installed library. Trusted
code is copied along with every `auto_map` that points to it; otherwise neither is.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prunekit.hf.checkpoint import Checkpoint
from prunekit.hf.files import TOKENIZERS, check_inside, is_of_terms
from prunekit.hf.identity import digest_of
from prunekit.hf.unreadable import readable

GENERATION = ("generation_config.json",)
TEMPLATES = (
    "chat_template.json",
    "*.jinja",
    "additional_chat_templates/*.jinja",
    "*SYSTEM_PROMPT*.txt",
)
LICENCES = ("LICENSES/*.txt",)
PROCESSORS = ("*processor_config.json",)
CODE = ("*.py", "custom_generate/*.py")
TERMS = (
    "*LICEN*",
    "*[Ll]icen*",
    "*NOTICE*",
    "*[Nn]otice*",
    "*COPY*",
    "*POLICY*",
    "*TERMS*",
    "*PATENTS*",
)
"""The files among which `is_of_terms` chooses, for the hub's client."""
AUTO_MAP = "auto_map"


def copy_side_files(checkpoint: Checkpoint, to: Path) -> None:
    """Copy what belongs to tokenizer, processors, generation and terms of use, byte for byte.

    Only an `auto_map` whose code is left out is dropped. Raises CheckpointError if a file is a link
    out of the folder, or if a tokenizer needs code that is not trusted.
    """
    patterns = [*GENERATION, *TEMPLATES, *TOKENIZERS, *PROCESSORS, *LICENCES]
    patterns += CODE if checkpoint.trust_remote_code else ()
    folder = _fetched(checkpoint, [*patterns, *TERMS])
    terms = filter(is_of_terms, _files(folder, ("*",)))
    for path in {*_files(folder, patterns), *terms}:
        check_inside(path, folder)
        target = to / path.relative_to(folder)
        target.parent.mkdir(exist_ok=True)
        _copy(path, target, checkpoint)


def tokenizer_digest(checkpoint: Checkpoint) -> str:
    """Digest the files that define the tokenizer of a folder; empty for a model on the hub.

    There the commit identifies all files.
    """
    return digest_of(_files(checkpoint.folder(), TOKENIZERS)) if checkpoint.is_folder else ""


def _files(folder: Path, patterns: Iterable[str]) -> list[Path]:
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    return sorted(path for path in found if path.is_file())


def _copy(path: Path, target: Path, checkpoint: Checkpoint) -> None:
    says_code = path.name.endswith("config.json") and AUTO_MAP.encode() in path.read_bytes()
    if checkpoint.trust_remote_code or not says_code:
        shutil.copyfile(path, target)
        return
    if path.name == "tokenizer_config.json":
        checkpoint.tokenizer()  # raises if the code is needed
    text = path.read_text(encoding="utf-8")
    with readable(checkpoint):
        content = json.loads(text)
    target.write_text(in_style_of(text, without_code(content)), encoding="utf-8")


def _fetched(checkpoint: Checkpoint, patterns: list[str]) -> Path:
    """Return the source's folder; from the hub, fetch these files at the commit in use."""
    if checkpoint.is_folder:
        return checkpoint.folder()
    from huggingface_hub import snapshot_download

    commit = checkpoint.identity().rpartition("@")[2]
    with readable(checkpoint):
        return Path(snapshot_download(checkpoint.source, revision=commit, allow_patterns=patterns))


def without_code(content: Any) -> Any:
    """Return the content of a file without references to code."""
    if isinstance(content, dict):
        return {key: without_code(value) for key, value in content.items() if key != AUTO_MAP}
    return [without_code(item) for item in content] if isinstance(content, list) else content


def in_style_of(text: str, content: Any) -> str:
    """Format JSON as transformers does, with the escapes and the final newline of `text`."""
    written = json.dumps(content, indent=2, ensure_ascii=text.isascii())
    return f"{written}\n" if text.endswith("\n") else written
