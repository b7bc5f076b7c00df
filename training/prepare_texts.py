"""Split public-domain books into training text and the held-out texts that prunekit ships.

    python training/prepare_texts.py TEXTS WORK

TEXTS holds `english_novels_to1929.jsonl.gz` and `fairytales_278.jsonl.gz` (one book a line, with
its `text`). WORK receives the tokenizer and the encoded training text for
`train_demo_model.py`; the held-out passages and multiple-choice items go to
`plugins/objectives/demo-data/` and `plugins/commands/evaluate/demo-data/`. Whole books are held
out, and every passage and item comes from a different place of them. Same input, same output.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY = 2048
HELD_OUT = {"novels": 6, "tales": 40}
PASSAGE, CONTEXT, CONTINUATION = 900, 180, 60  # characters
COUNTS = {"calibration-passages": 128, "evaluation-passages": 64}
ITEM_COUNTS = {"calibration-items": 256, "evaluation-items": 128}
END_OF_TEXT = "<|endoftext|>"
ROOT = Path(__file__).parents[1]
DEMO_DATA = {
    "calibration": ROOT / "plugins" / "objectives" / "demo-data",
    "evaluation": ROOT / "plugins" / "commands" / "evaluate" / "demo-data",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path)
    parser.add_argument("work", type=Path)
    paths = parser.parse_args()
    random.seed(0)
    novels = read(paths.texts / "english_novels_to1929.jsonl.gz")
    tales = read(paths.texts / "fairytales_278.jsonl.gz")
    held_out = {"novels": novels[: HELD_OUT["novels"]], "tales": tales[: HELD_OUT["tales"]]}
    training = {"novels": novels[HELD_OUT["novels"] :], "tales": tales[HELD_OUT["tales"] :]}
    paths.work.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer([text[:200_000] for group in training.values() for text in group])
    save_tokenizer(tokenizer, paths.work)
    encoded = {name: encode(tokenizer, group) for name, group in training.items()}
    save_file(encoded, paths.work / "training.safetensors")
    write_demo_data(held_out)
    print({name: ids.numel() for name, ids in encoded.items()}, "training tokens")


def read(path: Path) -> list[str]:
    """Read the books of a file in random order, with plain spaces and line ends."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        books = [json.loads(line)["text"] for line in lines]
    random.shuffle(books)
    return ["\n".join(" ".join(line.split()) for line in book.splitlines()) for book in books]


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """Train a byte-level BPE tokenizer, which has no unknown tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT
    )
    fast.save_pretrained(folder)


def encode(tokenizer: Tokenizer, texts: list[str]) -> torch.Tensor:
    """Encode all texts as one row of token ids, each after an end-of-text token."""
    ids: list[int] = []
    for text in texts:
        ids.append(tokenizer.token_to_id(END_OF_TEXT))
        for start in range(0, len(text), 100_000):
            ids += tokenizer.encode(text[start : start + 100_000]).ids
    return torch.tensor(ids, dtype=torch.int16)


def write_demo_data(held_out: dict[str, list[str]]) -> None:
    """Write passages for perplexity and items for the margin, half novels, half tales."""
    tales = pieces_of(held_out["tales"])
    pieces = tales + random.sample(pieces_of(held_out["novels"]), len(tales))
    random.shuffle(pieces)
    for name, count in COUNTS.items():
        rows = [{"text": text} for _, text in (pieces.pop() for _ in range(count))]
        write(name, rows)
    for name, count in ITEM_COUNTS.items():
        write(name, [make_item(*pieces.pop()) for _ in range(count)])


def pieces_of(books: list[str]) -> list[tuple[str, str]]:
    """Return every passage with its book; skip books too short for wrong continuations."""
    return [(book, p) for book in books if len(book) > 6 * PASSAGE for p in cut(book, PASSAGE)]


def cut(text: str, length: int) -> Iterator[str]:
    """Cut a text into pieces of at most `length` characters, between words."""
    start = 0
    while start + length < len(text):
        end = text.rindex(" ", start, start + length)
        yield text[start:end].strip()
        start = end


def make_item(book: str, piece: str) -> dict[str, object]:
    """Make an item: which of four continuations from the same book follows a passage?"""
    context, *_ = cut(piece, CONTEXT)
    right = next(cut(piece[len(context) :].lstrip(), CONTINUATION))
    choices = [right]
    while len(choices) < 4:
        start = book.index(" ", random.randrange(len(book) - PASSAGE)) + 1
        wrong = next(cut(book[start : start + PASSAGE], CONTINUATION))
        if wrong not in piece and wrong not in choices:
            choices.append(wrong)
    random.shuffle(choices)
    return {"context": context, "choices": choices, "answer": choices.index(right)}


def write(name: str, rows: list[dict[str, object]]) -> None:
    folder = DEMO_DATA[name.partition("-")[0]]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    main()
