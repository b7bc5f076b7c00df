"""Exports read by transformers 4: the same logits, and the tokenizer if it was written there.

Runs where PRUNEKIT_OLD_PYTHON names the interpreter of an environment that is made so:

    python -m venv old && old/bin/pip install "transformers==4.57.6" torch safetensors
    PRUNEKIT_OLD_PYTHON=old/bin/python pytest tests/commands/test_older_transformers.py
"""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import prunekit
from prunekit.plugins.models.qwen3 import Qwen3

OLD = os.environ.get("PRUNEKIT_OLD_PYTHON")
pytestmark = pytest.mark.skipif(OLD is None, reason="PRUNEKIT_OLD_PYTHON is not set")

REMOVED, N = [1, 4], 8
SMALL = {
    "num_hidden_layers": N,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 2048,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
WINDOW = {"sliding_window": 8, "query_pre_attn_scalar": 8}
FULL, SLIDING = ({"rope_type": "default", "rope_theta": theta} for theta in (7e5, 3e3))
MODELS = {
    "llama": (
        {**SMALL, "rope_theta": 9e4, "rope_scaling": LLAMA3},
        {**SMALL, "rope_parameters": {**LLAMA3, "rope_theta": 9e4}},
    ),
    "qwen3": (
        {**SMALL, "rope_theta": 9e4},
        {**SMALL, "rope_parameters": {"rope_type": "default", "rope_theta": 9e4}},
    ),
    "gemma3_text": (
        {**SMALL, **WINDOW, "rope_theta": 7e5, "rope_local_base_freq": 3e3},
        {
            **SMALL,
            **WINDOW,
            "rope_parameters": {"full_attention": FULL, "sliding_attention": SLIDING},
        },
    ),
    "gpt_neox": (
        {**SMALL, "rotary_pct": 0.5, "rotary_emb_base": 9e4},
        {
            **SMALL,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 9e4,
                "partial_rotary_factor": 0.5,
            },
        },
    ),
    "gpt2": (*[{"n_layer": N, "n_embd": 32, "n_head": 4, "vocab_size": 2048}] * 2,),
}
"""By type: the configuration in the words of release 4, and in those of release 5."""

MAKE = """
import json, sys, torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

models, tokenizer = json.loads(sys.argv[1]), sys.argv[2]
for folder, (kind, settings) in models.items():
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings)).save_pretrained(folder)
    if tokenizer:
        PreTrainedTokenizerFast(tokenizer_file=tokenizer).save_pretrained(folder)
"""
READ = """
import json, sys, torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

logits, tokens = {}, {}
for folder in sys.argv[2:]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        logits[folder] = model(input_ids=torch.arange(100)[None]).logits
    if "old" in folder:
        tokens[folder] = AutoTokenizer.from_pretrained(folder)("Once upon a time").input_ids
save_file(logits, sys.argv[1])
print(json.dumps(tokens))
"""


def run(python, code, *words):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [python, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """By kind and style: the folder of an export, its logits there, and its tokens."""
    place = tmp_path_factory.mktemp("models")
    tokenizer = Qwen3.demo / "tokenizer.json"
    sources = {
        (kind, style): place / f"{kind}-{style}" for kind in MODELS for style in ("old", "new")
    }
    given = {
        str(folder): (kind, MODELS[kind][style == "new"])
        for (kind, style), folder in sources.items()
    }
    for python, style, words in ((OLD, "old", tokenizer), (sys.executable, "new", "")):
        run(python, MAKE, json.dumps({f: m for f, m in given.items() if f.endswith(style)}), words)
    exports = {
        key: prunekit.export(str(folder), remove=REMOVED, to=place / "exports" / folder.name)
        for key, folder in sources.items()
    }
    tokens = json.loads(run(OLD, READ, place / "logits.safetensors", *exports.values()))
    logits = load_file(place / "logits.safetensors")
    return {key: (to, logits[str(to)], tokens.get(str(to))) for key, to in exports.items()}


@pytest.mark.parametrize("style", ["old", "new"])
@pytest.mark.parametrize("kind", MODELS)
def test_it_predicts_the_same_there(read, kind, style):
    to, there, tokens = read[kind, style]
    model = AutoModelForCausalLM.from_pretrained(to, dtype=torch.float32).eval()
    with torch.no_grad():
        here = model(input_ids=torch.arange(100)[None]).logits
    assert torch.equal(here, there) or torch.allclose(here, there, rtol=1e-4, atol=1e-5)
    assert here.abs().max() > 0.1
    if style == "old":
        assert tokens == AutoTokenizer.from_pretrained(to)("Once upon a time").input_ids


@pytest.mark.parametrize("kind", MODELS)
def test_what_was_written_there_has_but_its_blocks_changed(read, kind):
    to, _, _ = read[kind, "old"]
    source = json.loads((to.parents[1] / to.name / "config.json").read_text())
    made = json.loads((to / "config.json").read_text())
    changed = {key for key in source | made if source.get(key) != made.get(key)}
    assert changed <= {"num_hidden_layers", "n_layer", "layer_types", "max_window_layers"}
