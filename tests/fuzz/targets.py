"""What is mutated, and the commands that read it."""

from dataclasses import dataclass

from mutations import header, json_file, json_lines, text_file, yaml_file
from world import CBO, CERTIFY, EVALUATE, HEAL, SEARCH

ONE = "work/runs/*one-shot*"
OUT = ["out", "out/*"]
JOURNALS, RUNS, SCORES = "work/journals/*", "work/runs/*", "work/evaluations/*"
MODELS = "work/models/*"
CERTIFIED = ["work/certificates/*", MODELS]
BY_NAME = {
    ".json": json_file,
    ".jsonl": json_lines,
    ".yaml": yaml_file,
    ".safetensors": header,
    ".txt": text_file,
    ".csv": text_file,
}
"""How a file is mutated, by the end of its name."""


@dataclass(frozen=True)
class Target:
    """Files, and commands that read them: each is a list of words and of files it may write.

    In the words, FILE is the file that was mutated, HERE its folder, and ONE that of a run.
    """

    name: str
    patterns: tuple[str, ...]
    commands: tuple[tuple[list[str], list[str]], ...]
    weight: int = 2
    is_stored: bool = False
    """whether prunekit wrote the file, so that an error names it"""


WORK = ["--workdir", "work"]
DEMO = ["--ppl.data", "demo", "--ppl.samples", "2", "--ppl.length", "16"]
DRY = ["search", "--model", "model", "-k", "1", "--dry-run", "-q"]
EVALUATED = [SCORES, "work/runs/*/evaluation.json", MODELS]
OF_A_RUN = (
    (["show", ONE], []),
    (["show", *WORK], []),
    (["show", *WORK, "--json"], []),
    (["show", "work", "--json"], []),
    (["show", ONE, "--json"], []),
    (["export", "--run", ONE, *WORK, "--to", "out"], OUT),
    (["export", "--run", ONE, *WORK, "--to", "out", "--format", "llama.cpp"], OUT),
    (["evaluate", "--run", ONE, *WORK, *EVALUATE], EVALUATED),
)
TARGETS = (
    Target(
        "configuration",
        ("greedy.yaml", "genetic.yaml", "mix.yaml"),
        (
            (["search", "--config", "FILE", "--dry-run", "-q"], []),
            (["search", "--config", "FILE", "--dry-run", "--json"], []),
        ),
        weight=5,
    ),
    Target("study file", ("study.yaml",), ((["study", "FILE", "--dry-run", *WORK], []),), weight=4),
    Target(
        "calibration texts",
        ("data/a.*",),
        (
            ([*DRY, "--ppl.data", "FILE", "--ppl.samples", "2", "--ppl.length", "16"], []),
            ([*DRY, "--objective", "kl", "--kl.data", "FILE", "--kl.samples", "1"], []),
        ),
    ),
    Target(
        "items",
        ("data/items.*",),
        (([*DRY, "--objective", "margin", "--margin.data", "FILE", "--margin.samples", "2"], []),),
    ),
    Target(
        "evaluation texts",
        ("data/a.*",),
        ((["evaluate", "--model", "model", "--ppl", "FILE", "-q", *WORK], EVALUATED),),
        weight=1,
    ),
    Target("results", (f"{ONE}/result.json",), OF_A_RUN, is_stored=True, weight=4),
    Target(
        "evaluations", ("work/runs/*one-shot*/evaluation.json",), OF_A_RUN, is_stored=True, weight=3
    ),
    Target(
        "timings", ("work/runs/*one-shot*/latency.json",), OF_A_RUN[:6], is_stored=True, weight=3
    ),
    Target(
        "configurations of runs",
        (f"{ONE}/config.yaml",),
        (*OF_A_RUN, (["search", "--config", "FILE", "--dry-run", "-q"], [])),
    ),
    Target(
        "accounts",
        ("work/runs/*/work/*.json",),
        ((SEARCH, [JOURNALS, RUNS, MODELS]),),
        is_stored=True,
    ),
    Target(
        "journals",
        ("work/journals/*/*.jsonl",),
        (
            (["show", "HERE"], []),
            (["show", "HERE", "--json"], []),
            (SEARCH, [JOURNALS, RUNS, MODELS]),
        ),
        weight=3,
        is_stored=True,
    ),
    Target("known models", ("work/models/*.json",), ((SEARCH, [JOURNALS, RUNS, MODELS]),)),
    Target(
        "signals", ("work/journals/*/*.json",), ((CBO, [JOURNALS, RUNS, MODELS]),), is_stored=True
    ),
    Target(
        "scores",
        ("work/evaluations/*/*/*.json",),
        ((["evaluate", "--run", ONE, *WORK, *EVALUATE, "--json"], EVALUATED),),
        is_stored=True,
    ),
    Target(
        "trainings",
        ("work/heals/lora-*/checkpoints/*/*.*s*", "work/teachers/*/*"),
        (([*HEAL, "--to", "out"], [*OUT, "work/heals/*", "work/teachers/*"]),),
        weight=1,
        is_stored=True,
    ),
    Target(
        "certified texts",
        ("work/certificates/texts/*/*/*.json",),
        ((CERTIFY, CERTIFIED),),
        weight=1,
        is_stored=True,
    ),
    Target(
        "thresholds",
        ("thresholds.yaml",),
        (([*CERTIFY, "--thresholds", "FILE"], CERTIFIED),),
        weight=1,
    ),
    Target(
        "provenance",
        ("pruned/prunekit.json", "healed/prunekit.json"),
        (
            (["show", "HERE"], []),
            (["show", "HERE", "--json"], []),
            (["evaluate", "--model", "HERE", *WORK, *EVALUATE], EVALUATED),
            (["search", "--model", "HERE", "--dry-run", "-q", *DEMO], []),
        ),
        weight=3,
        is_stored=True,
    ),
    Target(
        "studies",
        ("work/studies/small/*.*", "work/studies/small/*/*.json", "work/studies/small/*/*/*.json"),
        (
            (["report", "work/studies/small", "-q"], ["work/studies/small/report/*"]),
            (["study", "study.yaml", *WORK, "-q", "--jobs", "1"], ["work/*"]),
            (["study", "study.yaml", *WORK, "--dry-run"], []),
            (["study", "work/studies/small/study.yaml", *WORK, "--dry-run", "--json"], []),
        ),
        weight=5,
        is_stored=True,
    ),
    Target(
        "checkpoints",
        ("model/*.json", "model/*.safetensors", "model/config.json"),
        (
            (["show", "model"], []),
            (["show", "model", "--json"], []),
            ([*DRY, *DEMO], []),
            (["export", "--model", "model", "--remove", "1", "--to", "out"], OUT),
            (["evaluate", "--model", "model", *WORK, *EVALUATE], EVALUATED),
        ),
        weight=4,
    ),
)
