"""How much memory an export takes beside the model: `python benchmarks/export_memory.py`.

Two checkpoints of 440 MB in files of 50 MB, made of random numbers: a plain one, and a mixture of
experts, whose weights transformers stores in another layout than it runs. Each is written without a
quarter of its blocks, by prunekit out of the checkpoint's files and by `save_pretrained` of the
pruned model. Told is the most anonymous memory of the process, above what it held before the model
was read: weights that are mapped from files, as those of a plain model on a CPU are, do not count.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

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


def anonymous() -> float:
    """Megabytes of this process that no file backs."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


class Watch:
    """The most memory since it was made."""

    def __init__(self) -> None:
        self.most = 0.0
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            self.most = max(self.most, anonymous())
            time.sleep(0.002)


def make(kind: str, folder: str) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(**MODELS[kind], num_hidden_layers=8, vocab_size=1000)
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder, max_shard_size=SHARD)
    print(f"{sum(p.numel() * p.element_size() for p in model.parameters()) / 2**20:.0f} MiB")


def write(how: str, folder: str, to: str) -> None:
    from prunekit.core import Spec, load_adapter
    from prunekit.core.checkpoint import find
    from prunekit.core.registry import load
    from prunekit.workflows import weights

    spec, registry = Spec(folder, device="cpu", dtype="own"), load()
    weights.SHARD_BYTES = SHARD
    before, watch = anonymous(), Watch()
    adapter = load_adapter(spec, registry)
    model = adapter.without(frozenset({2, 5}))
    loaded, watch.most = watch.most, 0.0
    Path(to).mkdir()
    if how == "prunekit":
        weights.write_weights(model, find(spec, registry), frozenset({2, 5}), Path(to), None)
    else:
        model.save_pretrained(to, max_shard_size=SHARD)
    time.sleep(0.1)
    print(f"reading {loaded - before:6.0f} MiB, writing {watch.most - before:6.0f} MiB")


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
                subprocess.run([*run, "write", how, f"{place}/model", f"{place}/{how}"], check=True)


if __name__ == "__main__":
    main()
