"""Take texts and chats from the rows of data sets, and render chats."""

from __future__ import annotations

import itertools
import reprlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from prunekit.core.errors import ConfigError, Remark, one_line
from prunekit.hf.datasets import guarded
from prunekit.hf.row_files import Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEXT, MESSAGES = "text", "messages"
TURN = {"role", "content"}


class Chat(NamedTuple):
    """The turns of a conversation, which only a tokenizer's chat template can write as text."""

    messages: Sequence[Mapping[str, Any]]
    where: str
    """its place, for messages of errors"""


Document: TypeAlias = str | Chat


def text_column(rows: Iterable[dict[str, Any]], data: str) -> Iterator[str]:
    """Yield the column `text` of every row. Raises ConfigError if a row lacks it."""
    for number, row in enumerate(guarded(rows, data), start=1):
        text = row.get(TEXT)
        if not isinstance(text, str):
            raise _no_text(row, TEXT, place_of(row, number, data), "drop the row")
        yield text


def documents_of_rows(
    rows: Iterable[Mapping[str, Any]],
    data: str,
    column: str = TEXT,
    cure: str = "rename it to `text`",
    keep_blank: bool = False,
) -> list[Document]:
    """Return the text or chat of every row; rows without are skipped, with one remark.

    A list of `{"role": ..., "content": ...}` is a chat; the column `messages` is read if the column
    `text` is missing. `keep_blank` keeps texts without a character. Raises ConfigError if a row
    holds something else, or none holds text; `cure` says what to do about another column.
    """
    found: list[Document] = []
    total = 0
    for total, row in enumerate(rows, start=1):
        document = _document(row, column, place_of(row, total, data), cure)
        if document is not None and (keep_blank or not is_missing(document)):
            found.append(document)
    if not found:
        raise ConfigError(
            f"data {data!r}: none of its {total:,} rows holds text; expected some in the column "
            f"`{column}`"
        )
    remark_on_skipped(total - len(found), total, data)
    return found


def remark_on_skipped(skipped: int, total: int, data: str) -> None:
    """Warn with a Remark if rows were skipped since they hold no text."""
    if skipped:
        verbs = "holds no text and is" if skipped == 1 else "hold no text and are"
        line = f"data {data!r}: {skipped:,} of {total:,} rows {verbs} skipped"
        warnings.warn(line, Remark, stacklevel=3)


def is_missing(value: Any) -> bool:
    """Return True for what means nothing: null, NaN, an empty list, a text of spaces.

    >>> [is_missing(value) for value in (None, " ", [], float("nan"), 0, "a")]
    [True, True, True, True, False, False]
    """
    if isinstance(value, float):
        return value != value
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def columns_in(names: Iterable[object]) -> str:
    """List the first names of columns for a message, each in one short line.

    >>> columns_in(["text", "n" * 99]), columns_in([])
    ('text, nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn', 'nothing')
    """
    shown = [repr(str(name)[:40])[1:-1] for name in itertools.islice(names, 9)]
    return ", ".join(shown) or "nothing"


def place_of(row: Mapping[str, Any], number: int | None, data: str) -> str:
    """Name a row for a message: its place in the file, or its number in this draw."""
    place = f"row {number} of this draw" if number else ""
    if isinstance(row, Row):
        place = row.place
    return f"data {data!r}, {place}" if place else f"data {data!r}"


def _document(row: Mapping[str, Any], column: str, where: str, cure: str) -> Document | None:
    value = row.get(column)
    if is_missing(value) and column == TEXT and not is_missing(row.get(MESSAGES)):
        value = row[MESSAGES]
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value:
        return Chat(_turns(value, where), where)
    if is_missing(value) and (column in row or all(map(is_missing, row.values()))):
        return None
    raise _no_text(row, column, where, cure)


def _turns(value: list[Any], where: str) -> list[Mapping[str, Any]]:
    for turn in value:
        if not isinstance(turn, Mapping) or not all(
            isinstance(turn.get(name), str) for name in TURN
        ):
            raise ConfigError(
                f"{where}: expected messages with a text as `role` and as `content`, got "
                f"{reprlib.repr(turn)}; fix or drop the row"
            )
    return value


def _no_text(row: Mapping[str, Any], column: str, where: str, cure: str) -> ConfigError:
    if not is_missing(row.get(column)):
        return ConfigError(
            f"{where}: expected text in the column `{column}`, got {reprlib.repr(row[column])}; "
            "fix or drop the row"
        )
    found = columns_in(name for name, value in row.items() if not is_missing(value))
    return ConfigError(f"{where}: expected text in a column `{column}`, found {found}; {cure}")


def rendered(
    documents: Iterable[Document],
    tokenizer: PreTrainedTokenizerBase,
    begins: Sequence[int],
    data: str,
) -> Iterator[str]:
    """Yield texts as they are, and chats as the tokenizer's template writes them.

    If windows begin with the beginning-of-text token (`begins`), what begins with it already, as
    rendered chats do, loses it, with a Remark. Raises ConfigError if the template is missing or
    fails.
    """
    bos = tokenizer.bos_token if tokenizer.bos_token_id in begins else None
    is_said = False
    for document in documents:
        text = document if isinstance(document, str) else written(document, tokenizer)
        if bos and text.startswith(bos) and not is_said:
            is_said = True
            line = f"texts begin with {bos}; it is left out there, as every window has it"
            warnings.warn(f"data {data!r}: {line}", Remark, stacklevel=2)
        yield text.removeprefix(bos or "")


def written(chat: Chat, tokenizer: PreTrainedTokenizerBase, to_answer: bool = False) -> str:
    """Return a chat as the tokenizer's template writes it, ready for an answer if that is wanted.

    Raises ConfigError if the template is missing or fails.
    """
    if not tokenizer.chat_template:
        raise ConfigError(
            f"{chat.where}: its messages need a chat template, but this model's tokenizer has "
            "none; give texts in the column `text`"
        )
    try:
        turns = [dict(turn) for turn in chat.messages]
        return str(
            tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=to_answer)
        )
    except Exception as error:
        raise ConfigError(
            f"{chat.where}: the tokenizer's chat template refuses its messages "
            f"({one_line(error)}); fix or drop the row"
        ) from error
