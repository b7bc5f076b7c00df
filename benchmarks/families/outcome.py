"""Try a model: it is exact, or refused with a reason; anything else is a fault.

The reference for every loss and every checkpoint is stock transformers with bypassed blocks.
"""

from __future__ import annotations

import contextlib
import json
import re
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prunekit.engine.exportable import Outlook

N_BLOCKS = 6
CALIBRATION = {"data": "demo", "samples": 2, "length": 24}
YES = "yes"


@dataclass(frozen=True)
class Outcome:
    """A row of the table."""

    removed: tuple[int, ...]
    """from the exported checkpoint, which is exact; empty if none was exported"""
    search: str
    """`yes`, or why it is refused when it is loaded"""
    checkpoint: str
    """`yes`, or what a search with --save says before it reads a weight"""


def outcome(folder: Path, removed: Sequence[int], work: Path) -> Outcome:
    """Search and export a model. Raises AssertionError unless the result is exact."""
    import prunekit
    from prunekit.core.errors import CheckpointError
    from prunekit.core.registry import load as load_registry
    from prunekit.engine.config import parse
    from prunekit.engine.exportable import outlook
    from prunekit.engine.plan import resolve

    given = {"searcher": "one-shot", "budget": len(removed), "ppl": CALIBRATION}
    given |= {"dtype": "float32", "device": "cpu"}
    try:
        found = prunekit.search(str(folder), workdir=work, finalists=0, **given)
    except CheckpointError as error:
        return Outcome((), _reason(error, folder), "no")
    dense = load(folder)
    check_losses(found, work, dense, folder)
    registry = load_registry()
    seen = outlook(resolve(parse({"model": str(folder), **given}, registry), registry))
    chosen = _writable(removed, seen)
    if not chosen:
        return Outcome((), YES, _short(seen.remark))
    try:
        prunekit.export(str(folder), remove=chosen, to=work / "pruned", device="cpu")
    except CheckpointError as error:
        _check_refused_before_search(folder, given, work / "again")
        return Outcome((), YES, _reason(error, folder))
    check_checkpoint(work / "pruned", dense, chosen)
    return Outcome(chosen, YES, _short(seen.remark) or YES)


def _check_refused_before_search(folder: Path, given: dict[str, Any], work: Path) -> None:
    """Check that a model is refused before the search, not after it."""
    import prunekit
    from prunekit.core.errors import CheckpointError

    try:
        prunekit.search(str(folder), **given, workdir=work, save=work / "pruned")
    except CheckpointError:
        assert not list(work.glob("journals/*/*.jsonl")), "refused after something was measured"
        return
    raise AssertionError("a search with --save ends, an export by hand does not")


def _writable(removed: Sequence[int], seen: Outlook) -> tuple[int, ...]:
    """Return these blocks, or others if these cannot be removed; empty if none are known."""
    if seen.keep & set(removed):
        return tuple(i for i in range(N_BLOCKS) if i not in seen.keep)[: len(removed)]
    if seen.reason and not seen.keep and frozenset(removed) not in seen.examples:
        return tuple(sorted(next(iter(seen.examples), ())))
    return tuple(removed)


def _reason(error: Exception, folder: Path) -> str:
    """Return the reason of a refusal, without what the table says already."""
    import transformers

    said = str(error).rpartition(f"with transformers {transformers.__version__}")[2]
    said = said.removeprefix(", so no export of it can be verified").removeprefix(": ")
    said = said.removesuffix(". Try another release of transformers")
    said = re.sub(r"differ by [\d.e+-]+\d", "differ", said)
    return _short(said.replace(str(folder), "the model"))


def _short(said: str) -> str:
    return textwrap.shorten(re.sub("[<>]", "", said), 240, placeholder=" ...")


def load(folder: Path) -> Any:
    """Load the dense model with stock transformers."""
    import torch
    from transformers import AutoConfig

    from prunekit.hf.checkpoint import auto_class

    config = AutoConfig.from_pretrained(folder)
    model, report = auto_class(config).from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert not any(report.values()), report
    return model.eval()


@contextlib.contextmanager
def bypassed(model: Any, removed: Collection[int]) -> Iterator[None]:
    """Make blocks return their input inside the context."""
    import torch

    lists = [
        (name.count("."), name)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == N_BLOCKS
    ]
    writes = [pair for pair in lists if not any(word in pair[1] for word in NOT_TEXT)] or lists
    blocks = model.get_submodule(min(writes)[1])

    def give_back(block: Any, args: Any, kwargs: Any, output: Any) -> Any:
        hidden = args[0] if args else kwargs["hidden_states"]
        return (hidden, *output[1:]) if isinstance(output, tuple | list) else hidden

    hooks = [blocks[i].register_forward_hook(give_back, with_kwargs=True) for i in removed]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


NOT_TEXT = ("vision", "visual", "audio", "image", "encoder", "tower")


def check_losses(found: Any, work: Path, model: Any, folder: Path) -> None:
    """Recompute all losses of the search from full logits, summed in float64."""
    import torch
    from transformers import AutoTokenizer

    from prunekit.plugins.objectives.perplexity import Perplexity

    samples = Perplexity(**CALIBRATION).calibration_set(AutoTokenizer.from_pretrained(folder))
    ids = torch.cat([sample["input_ids"] for sample in samples])

    def check(loss: float, removed: Collection[int]) -> None:
        with torch.no_grad(), bypassed(model, removed):
            logits = model(input_ids=ids, use_cache=False).logits
        chosen = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None])
        wanted = -chosen.double().mean().item()
        assert abs(loss - wanted) <= 1e-6 * abs(wanted), f"{loss} without {removed}, not {wanted}"

    check(found.dense.loss, [])
    measured = 0
    for segment in (work / "journals").glob("*/*.jsonl"):
        for line in segment.read_text().splitlines()[1:]:
            piece = json.loads(line)
            check(sum(piece["sums"]) / sum(piece["weights"]), piece["removed"])
            measured += 1
    assert measured >= N_BLOCKS + 1, measured


def check_checkpoint(folder: Path, dense: Any, removed: Collection[int]) -> None:
    """Check that it loads, is the bypassed model, and generates the same with a cache."""
    import torch
    from transformers import GenerationConfig

    from prunekit.hf.proof import probe

    model = load(folder)
    ids = probe(24).input_ids
    with torch.no_grad():
        with bypassed(dense, removed):
            wanted = dense(input_ids=ids, use_cache=False).logits
        whole = dense(input_ids=ids, use_cache=False).logits
        logits = model(input_ids=ids).logits
    assert (wanted - whole).abs().max() > 1e-3, "nothing is changed by what is removed"
    torch.testing.assert_close(logits, wanted, rtol=0, atol=1e-5)
    model.generation_config = GenerationConfig(pad_token_id=0, max_new_tokens=8, do_sample=False)
    mask = torch.ones_like(ids)
    texts = [model.generate(ids, attention_mask=mask, use_cache=use) for use in (True, False)]
    assert torch.equal(*texts), "it generates something else with a cache"
