"""Certify a pruned model: what it still can do beside the dense one, its own writing included."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunekit.cli.bar import Reporting, reporting
from prunekit.core.errors import ConfigError, Interrupted
from prunekit.core.options import build, options_of, values_of
from prunekit.core.registry import load
from prunekit.engine.arguments import takes
from prunekit.engine.config import Settings
from prunekit.engine.files import check_writable, write_text
from prunekit.engine.progress import Progress
from prunekit.engine.provenance import name_of
from prunekit.engine.quiet import quietly
from prunekit.engine.variant import MEASURED_SETTINGS
from prunekit.engine.versions import versions
from prunekit.hf.checkpoint import find
from prunekit.plugins.commands.certify.authors import WHO, Asked, asked_of, authors_of
from prunekit.plugins.commands.certify.capabilities import capabilities_of, kinds_of
from prunekit.plugins.commands.certify.card import add_to_card, check_card
from prunekit.plugins.commands.certify.certificate import (
    Answers,
    Certificate,
    NotCertified,
    Texts,
)
from prunekit.plugins.commands.certify.exercises import KINDS, exercises_of, scores
from prunekit.plugins.commands.certify.page import page_of
from prunekit.plugins.commands.certify.thresholds import Threshold, read_thresholds
from prunekit.plugins.commands.certify.works import Desk, Works
from prunekit.plugins.commands.certify.writing import Writing
from prunekit.plugins.commands.evaluate.comparison import EvaluationResult
from prunekit.plugins.commands.evaluate.config import (
    DEMO,
    EvalConfig,
    EvalOptions,
    names_of,
    take_options,
)
from prunekit.plugins.commands.evaluate.evaluate import evaluate
from prunekit.plugins.commands.evaluate.prompts import Prompts
from prunekit.plugins.commands.evaluate.target import EvalTarget, find_target

FOLDER = "certificates"
JSON, PAGE = "certificate.json", "certificate.html"
OWN_PROMPTS = Path(__file__).parent / "demo-data" / "prompts.jsonl"


@takes(Writing, EvalOptions, Settings, settings=MEASURED_SETTINGS)
@quietly()
def certify(
    model: str | None = None,
    *,
    run: str | Path | None = None,
    budget: int | None = None,
    remove: Iterable[int] | None = None,
    baseline: str | None = None,
    ppl: str | Iterable[str] = (),
    tasks: str | Iterable[str] = (),
    thresholds: str | Path | None = None,
    card: bool = False,
    workdir: str | Path = "prunekit-runs",
    progress: Reporting = False,
    **given: Any,
) -> Certificate:
    """Compare what the result of a search `run`, `model` without `remove`, or a checkpoint writes.

    It is compared with its dense model, or with a `baseline`, after the same prompts and with the
    same random numbers. `given` may hold the fields of `Writing`, as `samples=4`; `ppl` and `tasks`
    are evaluated as in `evaluate`, with the fields of `EvalOptions` and settings of the model.
    `thresholds` is a YAML file of what counts as kept and as lost, and of the verdicts that pass.
    With `card`, the certificate is added to a checkpoint's model card and prunekit.json.

    The certificate, with all texts on a page, is written below `workdir`/certificates. Every batch
    of texts is kept as soon as it is written. Raises a PrunekitError if something cannot be
    compared; a NotCertified, which holds the certificate, if a verdict does not pass.
    """
    own = {o.name for o in options_of(Writing)} & given.keys()
    writing = build(Writing, {name: given.pop(name) for name in own})
    how = take_options(given)
    target = find_target(model, run, remove, workdir, given, baseline, budget)
    find(target.spec, load()).config()
    if not target.is_compared:
        raise ConfigError(f"nothing to certify: {target.remark}")
    if card:
        check_card(target)
    texts, choices = (names_of(names) if names else () for names in (ppl, tasks))
    if not texts and not choices and target.is_demo:
        texts, choices = (DEMO,), (DEMO,)
    config = EvalConfig(texts, choices, batch_size=writing.batch_size, **how)
    kinds = kinds_of(config.perplexities, config.task_names)
    bounds = read_thresholds(Path(thresholds) if thresholds else None, kinds)
    with reporting(progress) as shown:
        work = _Certification(target, writing, bounds, Path(workdir), shown)
        if texts or choices:
            which: dict[str, Any] = {
                "run": run,
                "budget": budget,
                "remove": remove,
                "baseline": baseline,
            }
            same: dict[str, Any] = {"batch_size": writing.batch_size, "workdir": workdir}
            what: dict[str, Any] = {"ppl": texts, "tasks": choices, "progress": shown}
            work.evaluation = evaluate(model, **which, **what, **same, **how, **given)
        certificate = work.certificate()
    if card:
        add_to_card(certificate, target)
    if certificate.failed:
        raise NotCertified(certificate)
    return certificate


@dataclass
class _Certification:
    """Everything to be certified, and what is known of it so far."""

    target: EvalTarget
    writing: Writing
    thresholds: Mapping[str, Threshold]
    workdir: Path
    progress: Progress
    evaluation: EvaluationResult | None = None

    def __post_init__(self) -> None:
        writing, self.folder = self.writing, self.workdir.absolute() / FOLDER
        source = str(OWN_PROMPTS) if writing.prompts == DEMO else writing.prompts
        prompts = Prompts(source, writing.new_tokens, writing.plain_prompts)
        count = writing.exercises
        exercises = {kind: exercises_of(kind, count, writing.seed) for kind in KINDS if count}
        check_writable(self.folder)
        self.asked: Asked = asked_of(self.target, prompts, exercises)
        self.fingerprint: Mapping[str, str] = {}

    def certificate(self) -> Certificate:
        """Let both models write, judge them, and write the certificate."""
        try:
            works = self._works()
        except KeyboardInterrupt:
            raise Interrupted(
                f"stopped. What was written is kept in {self.workdir / FOLDER}; run the same "
                "command again to go on"
            ) from None
        certificate = self._judged(works)
        folder = self.folder / Path(certificate.folder).name  # plugins may change directories
        write_text(folder / JSON, certificate.to_json())
        write_text(folder / PAGE, page_of(certificate))
        return certificate

    def _works(self) -> dict[str, Works]:
        found: dict[str, Works] = {}
        self.progress.begin("loading the model")
        for author in authors_of(self.target, self.folder.parent):
            desk = Desk(author, self.asked, self.writing, self.folder, self.progress)
            found[author.who] = desk.works(found.get("dense"))
            self.fingerprint = author.fingerprint
        return found

    def _judged(self, works: Mapping[str, Works]) -> Certificate:
        target = self.target
        dense = target.spec if target.baseline else target.origin or target.spec
        name = name_of(target.spec.model)
        removed = tuple(sorted(target.removed)) or target.gone
        key = repr(
            (self.fingerprint, removed, target.afterwards, sorted(values_of(self.writing).items()))
        )
        digest = hashlib.blake2b(key.encode(), digest_size=4).hexdigest()
        return Certificate(
            model=target.baseline or dense.model,
            removed=removed,
            name=name if target.origin else "pruned",
            afterwards=target.afterwards,
            baseline=target.baseline,
            remark=target.remark,
            capabilities=capabilities_of(self.asked, works, self.evaluation, self.thresholds),
            texts=tuple(self._texts(works)),
            answers=tuple(self._answers(works)),
            writing=values_of(self.writing),
            fingerprint=self.fingerprint,
            versions=versions(),
            folder=str(self.workdir / FOLDER / f"{_word(name)}-{digest}"),
        )

    def _texts(self, works: Mapping[str, Works]) -> Iterable[Texts]:
        dense, pruned = (works[who] for who in WHO)
        for i, tokens in enumerate(self.asked.prompts):
            yield Texts(
                prompt=tokens.prompt,
                rendered=tokens.rendered,
                dense=dense.greedy[i].text,
                pruned=pruned.greedy[i].text,
                dense_sampled=tuple(text.text for text in dense.sampled[i]),
                pruned_sampled=tuple(text.text for text in pruned.sampled[i]),
            )

    def _answers(self, works: Mapping[str, Works]) -> Iterable[Answers]:
        for kind, pairs in self.asked.exercises.items():
            exercises = [exercise for exercise, _ in pairs]
            dense, pruned = ([text.text for text in works[who].exercises[kind]] for who in WHO)
            right = (scores(kind, exercises, texts) for texts in (dense, pruned))
            for exercise, a, b, x, y in zip(exercises, dense, pruned, *right, strict=True):
                yield Answers(kind, exercise.prompt, exercise.answer, a, b, x > 0, y > 0)


def _word(name: str) -> str:
    """Return a name as part of a file's.

    >>> _word("demo:qwen3")
    'demo-qwen3'
    """
    return re.sub(r"[^\w.]+", "-", name)[-40:].strip("-.")
