"""Say what was written: the proof, and the lines that go on from it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from prunekit.engine.escaping import shell_word
from prunekit.engine.provenance import read_provenance
from prunekit.engine.stored import restored
from prunekit.hf.gguf_checkpoint import is_gguf
from prunekit.hf.readback import Proof


def show_written(place: Path, console: Console) -> None:
    """Print what reading a checkpoint back has shown, and how to use it."""
    (_show_gguf if is_gguf(place.name) else _show_folder)(place, console)


def _show_folder(folder: Path, console: Console) -> None:
    console.print(f"saved {folder}", soft_wrap=True)
    record = read_provenance(folder)
    assert record is not None  # as it was written just now
    console.print(restored(Proof, record["proof"]).words)
    console.print()
    name = shell_word(str(folder))
    lines = {
        "load it": f"AutoModelForCausalLM.from_pretrained({str(folder)!r})",
        "serve it": f"vllm serve {name}",
        "convert it": f"python convert_hf_to_gguf.py {name}",
    }
    for what, line in lines.items():
        console.print(f"{what:13}{line}", soft_wrap=True)


def _show_gguf(file: Path, console: Console) -> None:
    console.print(f"saved {file}", soft_wrap=True)
    console.print(
        "its tensors are those of the source, byte for byte; read back with transformers, its "
        "logits are those with the blocks bypassed"
    )
    console.print()
    console.print(f"run it       llama-cli -m {shell_word(str(file))}", soft_wrap=True)
