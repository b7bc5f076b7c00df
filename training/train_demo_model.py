"""Train one embedded model on the CPU: seeded, resumable, the same steps on every machine.

    python training/train_demo_model.py qwen3|llama3|llama31 WORK

WORK is what `prepare_texts.py` wrote. The checkpoint (bfloat16, with its tokenizer) goes to
`plugins/models/demo-models/FAMILY/`. Started again after a stop, it goes on from the last hundred
steps. Rounding differs between processors, so another machine reaches a model of the same quality,
not the same bits.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

ROOT = Path(__file__).parents[1]
STEPS, ROWS, LENGTH = 1600, 12, 256
PEAK_RATE, WARM_UP, FINAL_SHARE = 3e-3, 100, 0.05
NOVEL_SHARE = 0.6
FAMILIES: dict[str, dict[str, Any]] = {
    "qwen3": {
        "model_type": "qwen3",
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
    },
    "llama3": {
        "model_type": "llama",
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
    },
    "llama31": {
        "model_type": "llama",
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 1e4,
            "factor": 4.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 256,
        },
    },
}
SHAPE = {
    "hidden_size": 96,
    "intermediate_size": 256,
    "num_hidden_layers": 16,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 24,
    "max_position_embeddings": 1024,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": None,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("work", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tokenizer = AutoTokenizer.from_pretrained(arguments.work)
    model = new_model(arguments.family, len(tokenizer))
    print(f"{arguments.family}: {model.num_parameters():,} parameters", flush=True)
    train(model, arguments.work, arguments.family, held_out_rows(tokenizer))
    folder = ROOT / "plugins" / "models" / "demo-models" / arguments.family
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def new_model(family: str, vocabulary: int) -> PreTrainedModel:
    torch.manual_seed(list(FAMILIES).index(family))
    config = AutoConfig.for_model(**FAMILIES[family], **SHAPE, vocab_size=vocabulary)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def train(model: PreTrainedModel, work: Path, family: str, held_out: torch.Tensor) -> None:
    texts = load_file(work / "training.safetensors")
    optimizer = new_optimizer(model)
    saved = work / f"{family}.pt"
    first = resume(saved, model, optimizer)
    start = time.perf_counter()
    for step in range(first, STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        loss = next_token_loss(model, rows(texts, step))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if (step + 1) % 100 == 0:
            torch.save(
                {
                    "step": step + 1,
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                },
                saved,
            )
            speed = (step + 1 - first) * ROWS * LENGTH / (time.perf_counter() - start)
            print(
                f"step {step + 1}: loss {loss.item():.3f}, held-out perplexity "
                f"{held_out_perplexity(model, held_out):.2f}, {speed:.0f} tokens/s",
                flush=True,
            )


def new_optimizer(model: PreTrainedModel) -> torch.optim.Optimizer:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    gains = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": gains, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.95), fused=True)


def resume(saved: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer) -> int:
    if not saved.exists():
        return 0
    state = torch.load(saved, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def rate(step: int) -> float:
    """Return the learning rate: linear warm-up, then a cosine down to a twentieth."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / STEPS))
    return PEAK_RATE * min(1, (step + 1) / WARM_UP) * (FINAL_SHARE + (1 - FINAL_SHARE) * cosine)


def rows(texts: dict[str, torch.Tensor], step: int) -> torch.Tensor:
    """Draw the windows of one step, seeded with the number of the step."""
    generator = torch.Generator().manual_seed(step)
    windows = []
    for _ in range(ROWS):
        novel = torch.rand((), generator=generator) < NOVEL_SHARE
        text = texts["novels" if novel else "tales"]
        start = int(torch.randint(0, text.numel() - LENGTH, (), generator=generator))
        windows.append(text[start : start + LENGTH + 1])
    return torch.stack(windows).long()


def next_token_loss(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    logits = model(ids[:, :-1], use_cache=False).logits
    return cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def held_out_rows(tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    """Return the first 200 tokens of every embedded evaluation passage."""
    file = ROOT / "plugins" / "commands" / "evaluate" / "demo-data" / "evaluation-passages.jsonl"
    texts = [json.loads(line)["text"] for line in file.open(encoding="utf-8")]
    return torch.tensor([tokenizer(text).input_ids[:200] for text in texts])


@torch.no_grad()
def held_out_perplexity(model: PreTrainedModel, ids: torch.Tensor) -> float:
    return math.exp(next_token_loss(model, ids).item())


if __name__ == "__main__":
    main()
