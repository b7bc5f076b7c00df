"""Is a model beside itself, in another batch size, certified as itself?

    python benchmarks/certify_null.py MODEL [--seeds 8] [--batches 16,5] [--workdir null]

Every seed makes other exercises and samples other texts. In 16 bits the batch size changes
roundings, and so some of the texts. Prints the verdicts on every capability, and how many are kept.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

from prunekit.core.problem import DENSE
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.known import load_known
from prunekit.engine.progress import Progress
from prunekit.engine.quiet import quiet_libraries
from prunekit.hf.checkpoint import find
from prunekit.plugins.commands.certify.authors import WHO, Author, read_by
from prunekit.plugins.commands.certify.capabilities import capabilities_of, kinds_of
from prunekit.plugins.commands.certify.certify import OWN_PROMPTS
from prunekit.plugins.commands.certify.exercises import KINDS, exercises_of
from prunekit.plugins.commands.certify.thresholds import read_thresholds
from prunekit.plugins.commands.certify.works import Desk, Works
from prunekit.plugins.commands.certify.writing import Writing
from prunekit.plugins.commands.evaluate.prompts import Prompts


def main() -> None:
    quiet_libraries()
    given = arguments()
    spec, workdir = Spec(given.model), given.workdir.absolute()
    adapter = load_known(spec, workdir, load())
    tokenizer = find(spec, load()).tokenizer()
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in range(given.seeds):
        writing = Writing(seed=seed)
        exercises = {kind: exercises_of(kind, writing.exercises, seed) for kind in KINDS}
        asked, _ = read_by(spec, Prompts(str(OWN_PROMPTS), writing.new_tokens), exercises)
        works: dict[str, Works] = {}
        for who, size in zip(WHO, given.batches, strict=True):
            with adapter.bypassing(DENSE) as model:
                author = Author(who, model, tokenizer, adapter.facts.fingerprint, DENSE)
                own = replace(writing, batch_size=size)
                desk = Desk(author, asked, own, workdir, Progress())
                works[who] = desk.works(works.get("dense"))
        thresholds = read_thresholds(None, kinds_of((), ()))
        for each in capabilities_of(asked, works, None, thresholds):
            verdicts[each.name][each.verdict] += 1
        print(f"seed {seed}: {_total(verdicts)}", flush=True)
    for name, counts in verdicts.items():
        print(f"{name:14} {dict(counts)}")


def _total(verdicts: dict[str, Counter[str]]) -> str:
    total = sum(verdicts.values(), Counter())
    return f"{total['kept']} of {total.total()} kept, {total['hurt'] + total['lost']} hurt or lost"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--batches", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--workdir", type=Path, default=Path("null"))
    parser.set_defaults(batches=[16, 5])
    return parser.parse_args()


if __name__ == "__main__":
    main()
