"""Text that an item holds and nothing reads: passed over where it is known, else refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from prunekit.core import ConfigError

ABOUT = frozenset(
    (
        *("id", "idx", "index", "qid", "uid", "uuid", "guid", "key", "hash"),
        *("source", "url", "dataset", "config", "version", "license", "author", "date", "year"),
        *("subject", "category", "topic", "domain", "tag", "tags", "type", "split", "fold"),
        *("difficulty", "level", "grade", "language", "lang", "metadata", "meta"),
        *("label", "labels", "answerkey", "answer_key", "answer_text", "correct_answer"),
        *("explanation", "explanations", "rationale", "rationales"),
    )
)
"""Columns that say something about an item, in small letters: no text of them is in a prompt."""


def check_unread(row: Mapping[str, Any], read: Collection[str], cure: str, where: str) -> None:
    """ConfigError where a column holds text that may belong to the prompt, and is not read.

    That is every column but those in `read`, those in ABOUT, and names that end in `_id`; text in
    lists and in objects counts. `cure` says where the text should go, `where` names the data.
    """
    for name, value in row.items():
        known = name.lower() in ABOUT or name.lower().endswith("_id")
        if name not in read and not known and _holds_text(value):
            raise ConfigError(
                f"{where}: the column `{name}` is not read; if it belongs before the answer, "
                f"{cure}, else leave it out"
            )


def _holds_text(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    parts = value.values() if isinstance(value, Mapping) else value
    return isinstance(value, Mapping | list) and any(map(_holds_text, parts))
