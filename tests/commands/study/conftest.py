"""A study that takes seconds."""

import json

import pytest

import prunekit


@pytest.fixture
def small(tiny_model):
    """A study of one tiny model under two objectives."""
    return {
        "name": "small",
        "models": {"tiny": {"model": str(tiny_model("llama3", n_blocks=8))}},
        "objectives": {
            "ppl": {"data": "demo", "samples": 4, "length": 24},
            "kl": {"data": "demo", "samples": 2, "length": 24},
        },
        "searchers": {
            "one-shot": None,
            "greedy": None,
            "genetic": {"population": 4, "generations": 1},
            "fisher": {"searcher": "cbo", "hessian": "fisher"},
        },
        "budgets": [3],
        "seeds": [0, 1],
    }


@pytest.fixture
def study(small, tmp_path):
    """Run the small study, with changes, in one place."""

    def run(**changes):
        keywords = {k: changes.pop(k) for k in ("only", "jobs", "workdir") if k in changes}
        return prunekit.study({**small, **changes}, **{"workdir": tmp_path / "work", **keywords})

    return run


@pytest.fixture
def evaluate():
    """What can be evaluated of a tiny model in no time."""
    return {"ppl": ["demo"], "ppl_samples": 3, "tasks": ["demo"], "limit": 4}


@pytest.fixture
def files():
    """What a study's folder holds, by path: all but timings."""

    def read(folder):
        found = {}
        for path in sorted(folder.rglob("*")):
            if path.is_dir() or path.parent.name == "speeds":
                continue
            text = path.read_text()
            if path.parent.name == "cells":
                text = {k: v for k, v in json.loads(text).items() if k != "seconds"}
            found[str(path.relative_to(folder))] = text
        return found

    return read


@pytest.fixture
def measured():
    """Every piece in the journals of a working directory: folder, subset, samples."""

    def read(workdir):
        return [
            (path.parent.name, tuple(row["removed"]), tuple(row["samples"]))
            for path in sorted(workdir.glob("journals/*/*.jsonl"))
            for row in map(json.loads, path.read_text().splitlines()[1:])
        ]

    return read
