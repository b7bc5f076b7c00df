"""Run tasks of lm-eval on a model in memory, with some blocks bypassed."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import random
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeAlias

from prunekit.core.errors import ConfigError
from prunekit.engine.stored import finite
from prunekit.plugins.commands.evaluate.config import EvalConfig
from prunekit.plugins.commands.evaluate.scores import TaskScore
from prunekit.plugins.commands.evaluate.tasks import LoadedTask

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Report: TypeAlias = Callable[[int, int], None]
"""Called with the number of requests answered, and of all requests."""
PREFERRED = ("acc_norm", "acc")
"""The metrics that are the accuracy of a task, best first; if it has neither, its own first."""
ROUNDING = 1e-9
SEEDS = {"random": 0, "numpy": 1234, "torch": 1234, "fewshot": 1234}
"""Those of lm-eval's own command line, so that random draws are the same."""


def run_task(
    task: LoadedTask,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    cached: bool,
    config: EvalConfig,
    report: Report,
) -> TaskScore:
    """Score the model on the task; `cached` allows it to generate with a key-value cache."""
    import torch
    from lm_eval.evaluator import evaluate

    for leaf in task.leaves.values():
        leaf.set_fewshot_seed(seed=SEEDS["fewshot"])
    try:
        with _seeded(), _silent():
            results = evaluate(
                language_model()(model, tokenizer, cached, config.batch_size, report),
                {"tasks": task.leaves, "groups": task.groups},
                limit=config.limit,
                bootstrap_iters=0,
                apply_chat_template=config.apply_chat_template,
            )
    except torch.OutOfMemoryError as error:
        raise ConfigError(
            "the device ran out of memory; what was evaluated is kept: run the same command with "
            "a lower --batch-size"
        ) from error
    assert results is not None
    return _score(task, results, config)


@functools.cache
def language_model() -> Any:
    """Return lm-eval's own class of transformers models, with progress and an optional cache."""
    from lm_eval.models.huggingface import HFLM

    class LanguageModel(HFLM):  # type: ignore[misc]
        def __init__(
            self, model: Any, tokenizer: Any, cached: bool, batch_size: int, report: Report
        ) -> None:
            super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
            self.cached = cached
            self.report = report
            self.done = self.total = 0
            self.set_cache_hook(self)

        def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
            self.total, self.done = len(requests), 0
            return super().loglikelihood(requests, disable_tqdm=True)

        def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> Any:
            self.total, self.done = len(requests), 0
            return super().loglikelihood_rolling(requests, disable_tqdm=True)

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> Any:
            self.total, self.done = len(requests), 0
            return super().generate_until(requests, disable_tqdm=True)

        def _loglikelihood_tokens(
            self, requests: Any, disable_tqdm: bool = False, override_bs: int | None = None
        ) -> Any:
            return super()._loglikelihood_tokens(
                requests, disable_tqdm=True, override_bs=override_bs
            )

        def add_partial(self, kind: str, request: Any, answer: Any) -> None:
            """Count an answered request; lm-eval calls this."""
            self.done += 1
            self.report(self.done, self.total)

        def _model_generate(self, *args: Any, **kwargs: Any) -> Any:
            with contextlib.nullcontext() if self.cached else _without_cache(self.model):
                return super()._model_generate(*args, **kwargs)

    return LanguageModel


@contextlib.contextmanager
def _without_cache(model: Any) -> Iterator[None]:
    """Override the cache that lm-eval requests, as a model with bypassed blocks cannot keep one."""
    generate = model.generate
    model.generate = lambda *args, **kwargs: generate(*args, **{**kwargs, "use_cache": False})
    try:
        yield
    finally:
        del model.generate


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    """Seed the generators that lm-eval seeds, and restore their states afterwards."""
    import numpy
    import torch

    of_python, of_numpy = random.getstate(), numpy.random.get_state()
    with torch.random.fork_rng():
        random.seed(SEEDS["random"])
        numpy.random.seed(SEEDS["numpy"])
        torch.manual_seed(SEEDS["torch"])
        try:
            yield
        finally:
            random.setstate(of_python)
            numpy.random.set_state(of_numpy)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Hide the bars that lm-eval shows while it builds prompts; it has no option for that."""
    import lm_eval.api.task as task

    shown = task.tqdm
    if not os.environ.get("PRUNEKIT_VERBOSE"):
        task.tqdm = functools.partial(shown, disable=True)
    try:
        yield
    finally:
        task.tqdm = shown


def _score(task: LoadedTask, results: Mapping[str, Any], config: EvalConfig) -> TaskScore:
    metrics = _metrics(results["results"][task.name])
    key = _headline(metrics)
    metric, value = key.partition(",")[0], metrics[key]
    items = _items(task, results["samples"], key)
    better = results["higher_is_better"].get(task.name, {}).get(metric)
    counts = results["n-samples"].values()
    return TaskScore(
        name=task.name,
        metric=metric,
        value=value,
        higher_is_better=better is not False,
        items=items if value is not None and _is_mean(items, value) else (),
        record={
            "metrics": metrics,
            "items": sum(n["effective"] for n in counts),
            "items_there_are": sum(n["original"] for n in counts),
            "chance": _chance(task, results["samples"]),
            "limit": config.limit,
            "num_fewshot": results["n-shot"].get(task.name),
            "apply_chat_template": config.apply_chat_template,
            "task_version": results["versions"].get(task.name),
            "batch_size": config.batch_size,
            "lm_eval": version("lm-eval"),
        },
    )


def _metrics(row: Mapping[str, Any]) -> dict[str, float | None]:
    """Pick lm-eval's `metric,filter` entries; a value that is not finite becomes None."""
    found = {k: v for k, v in row.items() if "," in k and "_stderr," not in k}
    return dict(finite({k: float(v) for k, v in found.items() if isinstance(v, (int, float))}))


def _headline(metrics: Mapping[str, Any]) -> str:
    preferred = (k for metric in PREFERRED for k in metrics if k.partition(",")[0] == metric)
    return next(preferred, next(iter(metrics)))


def _items(task: LoadedTask, samples: Mapping[str, Any], key: str) -> tuple[float, ...]:
    """Return the score of every item; nothing if one is not a number."""
    metric, _, chosen = key.partition(",")
    rows = [row for leaf in task.leaves for row in samples[leaf] if row["filter"] == chosen]
    values = [row.get(metric) for row in rows]
    if not all(isinstance(value, (int, float)) for value in values):
        return ()
    return tuple(float(value) for value in values)


def _chance(task: LoadedTask, samples: Mapping[str, Any]) -> float | None:
    """Return the accuracy of guessing, if every item is a choice; None else."""
    leaves = task.leaves.values()
    if any(leaf.OUTPUT_TYPE != "multiple_choice" for leaf in leaves):
        return None
    by_leaf = (
        (leaf, {row["doc_id"]: row["doc"] for row in samples[n]}) for n, leaf in task.leaves.items()
    )
    shares = [1 / len(leaf.doc_to_choice(doc)) for leaf, docs in by_leaf for doc in docs.values()]
    return math.fsum(shares) / len(shares)


def _is_mean(items: tuple[float, ...], value: float) -> bool:
    return bool(items) and abs(math.fsum(items) / len(items) - value) < ROUNDING
