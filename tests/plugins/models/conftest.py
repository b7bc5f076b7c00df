"""Tiny random models of every family in `families.yaml`."""

from pathlib import Path
from typing import Any

import pytest
import yaml

DATA = yaml.safe_load((Path(__file__).parent / "families.yaml").read_text(encoding="utf-8"))
REMOVED = [1, 4]


@pytest.fixture
def family_model(demo_tokenizer: Any, tmp_path: Path) -> Any:
    """`family_model("gpt2")`: the folder of a checkpoint, and the blocks to remove from it."""

    def make(name: str) -> tuple[Path, list[int]]:
        import torch
        from transformers import AutoConfig

        from prunekit.core.checkpoint import auto_class

        settings = dict(DATA["families"][name])
        kind = settings.pop("model_type", name)
        removed = settings.pop("removed", REMOVED)
        config = AutoConfig.for_model(kind, **_settings(_config_class(kind), settings))
        torch.manual_seed(0)
        model = auto_class(config).from_config(config, dtype=torch.float32)
        with torch.no_grad():
            for weight in model.parameters():  # norms, scales and gates that do something, too
                weight.add_(torch.randn(weight.shape) * 0.1)
        folder = tmp_path / "model"
        model.save_pretrained(folder)
        demo_tokenizer.save_pretrained(folder)
        return folder, removed

    return make


def _settings(cls: Any, own: dict[str, Any]) -> dict[str, Any]:
    """What the configuration has of the common settings, and a family's own, nested ones too."""
    known = {*getattr(cls, "__dataclass_fields__", ()), *getattr(cls, "attribute_map", ())}
    settings = {name: value for name, value in DATA["common"].items() if name in known}
    for name, value in own.items():
        part = getattr(cls, "sub_configs", {}).get(name)
        if part is None or not isinstance(value, dict):
            settings[name] = value
        elif name == "vision_config":
            settings[name] = {**DATA["vision"], **value}
        else:
            nested = _config_class(value["model_type"]) if "model_type" in value else part
            settings[name] = _settings(nested, value)
    return settings


def _config_class(kind: str) -> Any:
    from transformers import CONFIG_MAPPING

    return CONFIG_MAPPING[kind]
