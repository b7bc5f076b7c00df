"""What is to be healed, how, and on which text."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunekit.core.contracts import is_mix
from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import Objective
from prunekit.core.options import build, options_of, suggest, values_of
from prunekit.core.registry import load
from prunekit.engine.config import Settings, parse
from prunekit.engine.files import check_writable
from prunekit.engine.training import Training
from prunekit.hf.checkpoint import find
from prunekit.hf.loading import resolve_device
from prunekit.plugins.commands.heal.pair import HEALS, Pair, Which, find_pair
from prunekit.plugins.commands.heal.schedule import Schedule, rows_of, schedule_of
from prunekit.plugins.commands.heal.text import Text, read_text, shaped
from prunekit.plugins.commands.heal.trainable import check_installed
from prunekit.plugins.commands.heal.writing import config_of

SETTINGS = ("objective", "seed")
"""Those of a search that are not of its model."""
MODEL_WORDS = (
    *("adapter", "revision", "trust_remote_code", "device", "dtype", "attention"),
    "tokens_per_forward",
)
SEEDS = 2**32
"""As many as NumPy takes."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be healed, how, and on which text."""

    pair: Pair
    training: Training
    objective: Objective
    text: Text
    device: str
    seed: int
    workdir: Path

    @property
    def tokens(self) -> int:
        """Return how many tokens to train on."""
        return self.training.tokens_on(self.device)

    @property
    def at_once(self) -> int:
        """Return the most tokens of a forward."""
        return self.pair.pruned.tokens_per_forward

    @property
    def folder(self) -> Path:
        """Return the folder of what is kept; another one for anything that changes the result."""
        identities = [find(s, load()).identity() for s in (self.pair.pruned, self.pair.dense)]
        where = (self.device, self.pair.pruned.dtype, self.pair.pruned.attention, self.at_once)
        how = (sorted(values_of(self.training).items()), self.tokens, self.seed)
        key = repr((identities, where, how, self.text.digest()))
        name = hashlib.blake2b(key.encode(), digest_size=4).hexdigest()
        return self.workdir.absolute() / HEALS / f"{self.training.method}-{name}"


def prepare(which: Which, workdir: Path, given: Mapping[str, Any]) -> Plan:
    """Find the models and read the text. Raises PrunekitError if anything of it is wrong."""
    check_writable(workdir)
    given = {name: value for name, value in given.items() if value is not None}
    own = {o.name for o in options_of(Training)} & given.keys()
    training = build(Training, {name: given.pop(name) for name in own})
    check_installed(training.method)
    registry, device = load(), _device(given.get("device", "auto"))
    known = parse({k: v for k, v in given.items() if k in SETTINGS}, registry).settings
    options = given.pop(known.objective, {})
    for name in SETTINGS:
        given.pop(name, None)
    _check(given, known, options)
    pair = find_pair(which, workdir, given)
    objective = _objective(pair, known.objective, options)
    checkpoint = find(pair.pruned, registry)
    tokens = training.tokens_on(device)
    text = read_text(objective, tokens, checkpoint.tokenizer(), checkpoint.config())
    seen = max(rows_of(training, text.length), math.ceil(tokens / text.length))
    text = Text(text.trained[:seen], text.held_out)
    config_of(pair.record)  # not only when all is trained
    return Plan(pair, training, objective, text, device, known.seed, workdir)


def _check(given: Mapping[str, Any], known: Settings, options: object) -> None:
    """Raise ConfigError for a word that is no option here, and for others that cannot be used."""
    known_words = {o.name for o in options_of(Training)} | {*MODEL_WORDS, *SETTINGS}
    for name in given:
        if name not in known_words:
            raise ConfigError(f"{name}: no such option.{suggest(name, known_words)}", (name,))
    if not isinstance(options, Mapping):
        name = known.objective
        raise ConfigError(
            f"{name}: expected options such as {{samples: 8}}, got {options!r}", (name,)
        )
    if known.seed >= SEEDS:
        raise ConfigError(f"--seed {known.seed}: expected less than {SEEDS}", ("seed",))


def _device(name: str) -> str:
    """Return the device to train on. Raises ConfigError for one that the Trainer does not take."""
    device = resolve_device(name)
    if device.startswith("cuda:") and device != "cuda:0":
        number = device.partition(":")[2]
        raise ConfigError(
            f"--device {device}: healing trains on the first GPU that it sees; give --device cuda "
            f"with CUDA_VISIBLE_DEVICES={number} in the environment",
            ("device",),
        )
    return device


def _objective(pair: Pair, name: str, options: dict[str, Any]) -> Objective:
    """Return the objective, on the data of the search if it used this one and no other is given."""
    registry = load()
    searched = pair.run.config.options.get(name, {}) if pair.run else {}
    data = {key: searched[key] for key in ("data", "column") if key in searched}
    options = options if "data" in options else {**data, **options}
    words = {"model": pair.dense.model, "objective": name}
    cls = registry.get("objective", name).cls
    config = parse({**words, name: shaped(options, cls)}, registry)
    objective: Objective = config.plugins[config.settings.objective]
    if is_mix(objective):
        raise ConfigError(
            f"--objective {name}: a mix has no text of its own; name one of its parts, as ppl",
            ("objective",),
        )
    objective.check_data()
    return objective


def schedule(plan: Plan, autocast: Any) -> Schedule:
    """Return the steps of a training."""
    return schedule_of(
        plan.training,
        len(plan.text.trained),
        plan.text.length,
        plan.tokens,
        plan.seed,
        plan.at_once,
        autocast,
    )
