"""The contract of a model family."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError, one_line
from prunekit.core.interfaces import ModelAdapter
from prunekit.hf.checkpoint import Checkpoint
from prunekit.testing.blocks import check_blocks, check_export
from prunekit.testing.contract import Checker, ContractError, silent
from prunekit.testing.repeat import check_import

if TYPE_CHECKING:
    from torch import Tensor


def check_adapter(adapter: type[ModelAdapter], checkpoint: str | Path | None = None) -> None:
    """Raise ContractError unless the family keeps its contract on a small checkpoint.

    Block by block it must give what stock transformers gives, dense and with blocks gone, also on
    padded rows and with several batches under way; `block` must leave its input as it is, a gate of
    1 and 0 must run a block and pass it by, and what is exported must load again whole and predict
    the same. Weights that do not fit must be refused, and other weights recognised. Nothing may be
    written to standard output, and nothing heavy be imported with the module.

    `checkpoint` is a folder with config.json and safetensors of a model of 3 blocks or more, such
    as a tiny random one; without it the family's own `demo` is used. No tokenizer is needed.
    """
    checker = Checker("model", adapter)
    checker.check_class()
    place = checkpoint or adapter.demo
    checker.require(place, "brings no demo; give check_adapter a folder with a tiny checkpoint")
    with silent(checker):
        _check_on_checkpoint(checker, adapter, Path(str(place)))
    check_import(checker)


def _check_on_checkpoint(checker: Checker, adapter: type[ModelAdapter], folder: Path) -> None:
    _check_handles(checker, adapter, folder)
    made = _load(checker, adapter, folder)
    stock = _stock(folder)
    _check_facts(checker, made, stock)
    check_blocks(checker, made, stock)
    _check_reading(checker, adapter, folder, made)
    n = made.facts.n_blocks
    for removed in (frozenset({0}), frozenset(range(1, n, 2))):
        check_export(checker, _load(checker, adapter, folder), removed)


def _check_handles(checker: Checker, adapter: type[ModelAdapter], folder: Path) -> None:
    from transformers import PretrainedConfig

    own, foreign = Checkpoint(str(folder)).config(), PretrainedConfig()
    with checker.doing("asked whether it handles a configuration"):
        claims = adapter.handles(own), adapter.handles(foreign)
    checker.require(
        all(isinstance(claim, int) and 0 <= claim <= 2 for claim in claims),
        f"answers {claims} when asked whether it handles a model; expected 0, 1 or 2",
    )
    checker.require(claims[0], f"does not handle the checkpoint in {folder}")
    checker.require(
        claims[1] < 2,
        "says of a model of no type that it is its own family; look at config.model_type",
    )


def _load(
    checker: Checker, adapter: type[ModelAdapter], folder: Path, dtype: str = "float32"
) -> ModelAdapter:
    with checker.doing("loading a checkpoint"):
        return adapter.load(Checkpoint(str(folder)), "cpu", dtype)


def _stock(folder: Path) -> Any:
    """Load the model with stock transformers."""
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval()


def _check_facts(checker: Checker, adapter: ModelAdapter, stock: Any) -> None:
    facts, blocks = adapter.facts, stock.config.get_text_config().num_hidden_layers
    checker.require(
        facts.n_blocks == blocks, f"says that {blocks} blocks are {facts.n_blocks}: facts.n_blocks"
    )
    checker.require(blocks >= 3, "is checked on a model of fewer than 3 blocks; make a deeper one")
    checker.require(
        facts.parameters == stock.num_parameters(),
        f"counts {facts.parameters:,} parameters, the model has {stock.num_parameters():,}",
    )
    checker.require(
        len(facts.block_parameters) == blocks and sum(facts.block_parameters) <= facts.parameters,
        "must count the parameters of every block in facts.block_parameters",
    )
    checker.require(
        facts.fingerprint
        and all(isinstance(x, str) for pair in facts.fingerprint.items() for x in pair)
        and "weights" in facts.fingerprint,
        f"gives the fingerprint {facts.fingerprint!r}; expected words, `weights` among them",
    )


def _check_reading(
    checker: Checker, adapter: type[ModelAdapter], folder: Path, made: ModelAdapter
) -> None:
    """Check fingerprints, which key stored losses, and that missing weights are refused."""
    fingerprint = dict(made.facts.fingerprint)
    checker.require(
        dict(_load(checker, adapter, folder).facts.fingerprint) == fingerprint,
        "gives another fingerprint when the same checkpoint is loaded again, so nothing measured "
        "could be found again; derive it from the weights' files alone",
    )
    checker.require(
        dict(_load(checker, adapter, folder, "bfloat16").facts.fingerprint) != fingerprint,
        "gives the same fingerprint in bfloat16 as in float32; add the dtype, and use the dtype "
        "that is asked for",
    )
    with _changed(folder, lambda tensors, name: tensors[name].add_(1)) as other:
        checker.require(
            dict(_load(checker, adapter, other).facts.fingerprint) != fingerprint,
            "gives other weights the same fingerprint, so their measurements would be mixed up; "
            "use checkpoint.identity()",
        )
    with _changed(folder, lambda tensors, name: tensors.pop(name)) as damaged:
        try:
            adapter.load(Checkpoint(str(damaged)), "cpu", "float32")
        except CheckpointError:
            return
        except Exception as error:
            raise ContractError(
                f"{checker.who} answers a missing weight with {one_line(error)}; raise "
                "CheckpointError"
            ) from error
        checker.require(
            False,
            "loads a checkpoint in which a weight is missing, which transformers then makes up; "
            "ask for output_loading_info and raise CheckpointError",
        )


@contextmanager
def _changed(folder: Path, change: Callable[[dict[str, Tensor], str], object]) -> Iterator[Path]:
    """Yield a copy of a checkpoint in which `change` was applied to one tensor."""
    from safetensors.torch import load_file, save_file

    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "model"
        shutil.copytree(folder, copy)
        path = sorted(copy.glob("*.safetensors"))[0]
        tensors = load_file(path)
        change(tensors, sorted(tensors)[len(tensors) // 2])
        save_file(tensors, path, metadata={"format": "pt"})
        yield copy
