"""Make one valid file of every kind that prunekit reads, to be mutated: in a few seconds."""

import json
import shutil
from pathlib import Path

from running import run

SHAPE = {
    **{"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2},
    **{"num_key_value_heads": 2, "max_position_embeddings": 128, "initializer_range": 0.2},
    **{"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None, "num_hidden_layers": 4},
}
SHORT = ["--ppl.data", "demo", "--ppl.samples", "2", "--ppl.length", "16"]
SEARCH = ["search", "--model", "model", "-k", "2", "--workdir", "work", "-q", *SHORT]
CBO = [*SEARCH, "--searcher", "cbo", "--cbo.hessian", "exact", "--cbo.first-order", "1"]
EVALUATE = ["--ppl", "demo", "--ppl-samples", "1", "--tasks", "demo", "--limit", "2", "-q"]
HEAL = [
    *("heal", "--model", "model", "--remove", "1", "--workdir", "work", "-q", *SHORT),
    *("--tokens", "256", "--batch-tokens", "64", "--rate", "1e-2", "--keep-words", "4"),
]
CERTIFY = [
    *("certify", "--model", "pruned", "--workdir", "work", "-q", "--exercises", "2"),
    *("--new-tokens", "4", "--samples", "1", "--prompts", "data/prompts.txt"),
]
CONFIGS = {
    "greedy.yaml": {
        **{"model": "model", "searcher": "greedy", "objective": "ppl", "budget": 2, "seed": 0},
        **{"protect": "0", "protect_first": 0, "dtype": "float32", "device": "cpu"},
        "ppl": {"data": "demo", "samples": 2, "length": 16, "seed": 1},
    },
    "genetic.yaml": {
        **{"model": "model", "searcher": "genetic", "objective": "margin", "budget": 1},
        "genetic": {"population": 4, "generations": 2, "elite": 1, "mutations": 2},
        "margin": {"data": "demo", "samples": 2},
    },
    "mix.yaml": {
        **{"model": "model", "searcher": "cbo", "objective": "mix", "tokens_per_forward": 512},
        "cbo": {"hessian": "pairwise"},
        "mix": {"parts": "ppl:1,kl:0.5"},
        "ppl": {"data": "demo", "samples": 2, "length": 16},
        "kl": {"data": "demo", "samples": 2, "length": 16},
    },
}
STUDY = {
    **{"name": "small", "models": {"tiny": {"model": "model"}}, "budgets": [1, 2], "seeds": [0]},
    "objectives": {"ppl": {"data": "demo", "samples": 2, "length": 16}},
    "searchers": {"one-shot": None, "fast": {"searcher": "greedy"}},
    "evaluate": {"ppl": ["demo"], "ppl_samples": 1, "tasks": ["demo"], "limit": 2},
}
THRESHOLDS = {"all": {"kept": 0.1, "lost": 0.5}, "agreement": {"require": "lost"}}
ROWS = [{"text": f"The {a} said hello to the king, who said nothing. " * 4} for a in "abcdef"]
ITEMS = [
    {"question": f"What did the {a} say?", "choices": ["hello", "no", "king"], "answer": n % 3}
    for n, a in enumerate("abcdef")
]


def build(folder):
    """Fill a folder, which must be the current one."""
    from prunekit.plugins.models.qwen3 import Qwen3

    _model(Path("model"), Qwen3.demo)
    _data(Path("data"))
    for name, config in CONFIGS.items():
        Path(name).write_text(json.dumps(config))
    Path("study.yaml").write_text(json.dumps(STUDY))
    Path("thresholds.yaml").write_text(json.dumps(THRESHOLDS))
    _do(*SEARCH, "--searcher", "one-shot")
    one = str(next(Path("work/runs").iterdir()))
    _do(*CBO)
    short = ["--prompt-length", "4", "--new-tokens", "2", "--repeats", "1", "-q"]
    _do("latency", "--run", one, "--workdir", "work", *short)
    _do("evaluate", "--run", one, "--workdir", "work", *EVALUATE)
    _do("export", "--run", one, "--workdir", "work", "--to", "pruned")
    _do(*HEAL, "--to", "healed")
    _do(*CERTIFY, "--card")
    _do("study", "study.yaml", "--workdir", "work", "-q", "--jobs", "1")
    for pattern in ("journals/*/*.jsonl", "runs/*/work/*.json"):
        for number, path in enumerate(sorted(Path("work").glob(pattern), key=Path.read_bytes)):
            path.rename(path.with_stem(f"{number:032}"))  # so that a seed names one file


def _model(folder, tokenizer):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    size = len(json.loads((Path(tokenizer) / "tokenizer.json").read_text())["model"]["vocab"])
    config = AutoConfig.for_model("llama", **SHAPE, vocab_size=size + 16)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(tokenizer) / name, folder)


def _data(folder):
    folder.mkdir()
    lines = [row["text"] for row in ROWS]
    folder.joinpath("a.txt").write_text("\n".join(lines))
    folder.joinpath("prompts.txt").write_text("Once upon a time\nThe king said\n")
    folder.joinpath("a.csv").write_text("text\n" + "\n".join(f'"{line}"' for line in lines))
    for name, rows in (("a", ROWS), ("items", ITEMS)):
        folder.joinpath(f"{name}.json").write_text(json.dumps(rows))
        text = "".join(json.dumps(row) + "\n" for row in rows)
        folder.joinpath(f"{name}.jsonl").write_text(text)


def _do(*argv):
    outcome = run(argv)
    if outcome.status != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {outcome.err}{outcome.trace}")
