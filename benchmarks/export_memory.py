"""Measure the memory that an export takes beside the model: `python benchmarks/export_memory.py`.

Two checkpoints of 440 MB in files of 50 MB, made of random numbers: a plain one, and a mixture of
experts, whose weights transformers stores in another layout than it runs. Each is written without a
quarter of its blocks, by prunekit out of the checkpoint's files and by `save_pretrained` of the
pruned model. The result is the peak of anonymous memory while writing, above that after
reading the model; weights that are mapped from files do not count.
"""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from prunekit.core import Spec
from prunekit.core.registry import load
from prunekit.engine.quiet import quiet_libraries
from prunekit.hf import load_adapter, weights
from prunekit.hf.checkpoint import find

SHARD = 50_000_000
MODELS = {
    "plain": {
        "model_type": "llama",
        "hidden_size": 1024,
        "intermediate_size": 2816,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
    },
    "experts": {
        "model_type": "qwen3_moe",
        "hidden_size": 512,
        "moe_intermediate_size": 512,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "num_experts": 16,
        "num_experts_per_tok": 2,
    },
}


def anonymous(process: int) -> float:
    """Return the anonymous memory of a process in megabytes; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(x.split()[1]) / 1024 for x in lines if x.startswith("RssAnon")), 0.0)


def make(kind: str, folder: str) -> None:
    quiet_libraries()
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(**MODELS[kind], num_hidden_layers=8, vocab_size=1000)
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder, max_shard_size=SHARD)
    print(f"{sum(p.numel() * p.element_size() for p in model.parameters()) / 2**20:.0f} MiB")


def write(how: str, folder: str, to: str) -> None:
    quiet_libraries()
    weights.SHARD_BYTES = SHARD
    spec, registry = Spec(folder, device="cpu", dtype="own"), load()
    model = load_adapter(spec, registry).without(frozenset({2, 5}))
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path(to).mkdir()
    input("ready\n")
    if how == "prunekit":
        weights.write_weights(model, find(spec, registry), frozenset({2, 5}), Path(to), None)
    else:
        model.save_pretrained(to, max_shard_size=SHARD)


def watch(command: list[str]) -> None:
    """Start a writer and measure it from outside, since writing blocks its own threads."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdout.readline()
        most = before = anonymous(writer.pid)
        writer.stdin.write("\n")
        writer.stdin.flush()
        while writer.poll() is None:
            most = max(most, anonymous(writer.pid))
            time.sleep(0.001)
    print(f"holds {before:4.0f} MiB, writing takes {most - before:4.0f} MiB more", flush=True)


def main() -> None:
    if len(sys.argv) > 1:
        {"make": make, "write": write}[sys.argv[1]](*sys.argv[2:])
        return
    for kind in MODELS:
        with tempfile.TemporaryDirectory() as place:
            run = [sys.executable, __file__]
            print(kind, flush=True)
            subprocess.run([*run, "make", kind, f"{place}/model"], check=True)
            for how in ("prunekit", "save_pretrained"):
                print(f"  {how:16}", end="", flush=True)
                watch([*run, "write", how, f"{place}/model", f"{place}/{how}"])


if __name__ == "__main__":
    main()
