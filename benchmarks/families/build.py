"""Build tiny random models of every type that transformers can run as a language model.

A model takes the settings of `common` in tests/families.yaml that its configuration has, its other
parts take those of `vision`, and its own settings override both.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

SETTINGS = Path(__file__).parents[2] / "tests" / "families.yaml"
REMOVED = (1, 4)
WRITES = ("text", "language", "decoder", "llm", "thinker")
"""Words by which a configuration names the part that writes text."""
MOST_PARAMETERS = 20_000_000


@functools.cache
def settings() -> dict[str, Any]:
    """Read tests/families.yaml."""
    return yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))


def model_types() -> list[str]:
    """Return the model types of AutoModelForCausalLM and AutoModelForImageTextToText."""
    from transformers.models.auto import modeling_auto as auto

    causal = auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return sorted({*causal, *auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES})


def names() -> list[str]:
    """Return all models of the table: every type, and variants with their own settings."""
    said = {**settings()["families"], **settings()["others"]}
    return sorted({*model_types(), *said})


def removed_from(name: str) -> tuple[int, ...]:
    """Return the blocks to remove from the exported model."""
    return tuple(_own(name).get("removed", REMOVED))


def build(name: str, folder: Path) -> None:
    """Write a checkpoint of a tiny random model. Raises ValueError if it is not tiny."""
    import torch
    from transformers import AutoConfig

    from prunekit.hf.checkpoint import auto_class

    own = _own(name)
    kind = own.pop("model_type", name)
    own.pop("removed", None)
    config = AutoConfig.for_model(kind, **_settings(_config_class(kind), own, "common"))
    with torch.device("meta"):
        parameters = auto_class(config).from_config(config).num_parameters()
    if parameters > MOST_PARAMETERS:
        raise ValueError(f"{parameters:,} parameters are too many")
    torch.manual_seed(0)
    model = auto_class(config).from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for weight in model.parameters():  # norms, scales and gates that do something, too
            weight.add_(torch.randn(weight.shape) * 0.1)
    model.save_pretrained(folder)


def _own(name: str) -> dict[str, Any]:
    return dict(settings()["families"].get(name) or settings()["others"].get(name) or {})


def _settings(cls: Any, own: dict[str, Any], role: str) -> dict[str, Any]:
    """Return the settings of a role that the configuration has, and its own, nested ones too."""
    known = {*getattr(cls, "__dataclass_fields__", ()), *getattr(cls, "attribute_map", ())}
    found = {name: value for name, value in settings()[role].items() if name in known}
    if "kv_lora_rank" in found:
        found["num_key_value_heads"] = found["num_attention_heads"]
    for name, part in (getattr(cls, "sub_configs", None) or {}).items():
        mine = own.get(name, {})
        nested = _part(cls, name, part, mine) if isinstance(mine, dict) else None
        if nested is not None:
            writes = any(word in name for word in WRITES)
            named = {"model_type": nested.model_type} if part.__name__ == "AutoConfig" else {}
            found[name] = named | _settings(nested, mine, "common" if writes else "vision")
    nested_ones = {name for name in found if isinstance(own.get(name), dict) and name in own}
    of_parts = nested_ones & set(getattr(cls, "sub_configs", None) or {})
    return found | {name: value for name, value in own.items() if name not in of_parts}


def _part(cls: Any, name: str, part: Any, mine: dict[str, Any]) -> Any:
    """Return the class of a nested configuration; None without a default."""
    if "model_type" in mine:
        return _config_class(mine["model_type"])
    said = (getattr(cls, "sub_configs_defaults", None) or {}).get(name)
    if said is None:
        default = getattr(_default(cls), name, None)
        return type(default) if default is not None else None
    kind = getattr(said, "model_type", None)
    return _config_class(kind) if kind else getattr(said, "config_class", said)


@functools.cache
def _default(cls: Any) -> Any:
    return cls()


def _config_class(kind: str) -> Any:
    from transformers import CONFIG_MAPPING

    return CONFIG_MAPPING[kind]
