"""Which weights a study is about, and how fast they ran: kept so that it goes on truthfully."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

from prunekit.core.errors import CheckpointError
from prunekit.core.interfaces import ModelFacts
from prunekit.engine.files import write_text
from prunekit.engine.rounding import depends_on_layout
from prunekit.engine.speed import Speed
from prunekit.engine.stored import read_stored
from prunekit.plugins.commands.study.files import AGAIN, slug

LIBRARIES = ("torch", "transformers")


@dataclass(frozen=True)
class Origin:
    """A model as it was when its first cell was searched."""

    model: str
    n_blocks: int
    parameters: int
    fingerprint: Mapping[str, str]


def check_origin(folder: Path, model: str, facts: ModelFacts, tokens_per_forward: int) -> None:
    """Note which model this is; CheckpointError where the study began with another.

    Newer libraries may go on with a study, other weights, dtypes and devices may not. Nor may in
    16 bits another `tokens_per_forward`, since batches change a loss there.
    """
    path = folder / "models" / f"{slug(model)}.json"
    now = dict(facts.fingerprint)
    if depends_on_layout(now):
        now["tokens_per_forward"] = str(tokens_per_forward)
    origin = Origin(model, facts.n_blocks, facts.parameters, now)
    if not path.is_file():
        write_text(path, json.dumps(dataclasses.asdict(origin), indent=1) + "\n")
        return
    before = read_stored(path, None, {"fingerprint": Mapping[str, str]}, AGAIN)["fingerprint"]
    changed = [
        f"{name} was {before.get(name, 'not noted')}, is {value}"
        for name, value in now.items()
        if name not in LIBRARIES and before.get(name) != value
    ]
    if changed:
        raise CheckpointError(
            f"{model}: not as it was when this study began ({'; '.join(changed)}); give the study "
            f"another name, or remove {folder}"
        )


def speed_of(folder: Path, group: str, measure: Callable[[], Speed]) -> Speed:
    """The speed of a group, measured when it is first asked for."""
    path = folder / "speeds" / f"{group}.json"
    if path.is_file():
        kept = read_stored(path, None, get_type_hints(Speed), AGAIN)
        return Speed(kept["block"], kept["subset"])
    speed = measure()
    write_text(path, json.dumps(dataclasses.asdict(speed)) + "\n")
    return speed
