"""Run tasks of lm-eval on a model in memory, in which some blocks are bypassed."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import random
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import ConfigError
from prunekit.engine.stored import finite
from prunekit.plugins.commands.evaluate.readings import PREFERRED, TaskReading
from prunekit.plugins.commands.evaluate.tasks import LoadedTask
from prunekit.plugins.commands.evaluate.wanted import Wanted
from prunekit.plugins.commands.evaluate.watching import Watcher

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ROUNDING = 1e-9
SEEDS = {"random": 0, "numpy": 1234, "torch": 1234, "fewshot": 1234}
"""Those of lm-eval's own command line, so that what is drawn by chance is the same."""


def run_task(
    task: LoadedTask,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    cached: bool,
    wanted: Wanted,
    watcher: Watcher,
) -> TaskReading:
    """What the model scores on the task; `cached` says whether it may generate with a cache."""
    from lm_eval.evaluator import evaluate

    for leaf in task.leaves.values():
        leaf.set_fewshot_seed(seed=SEEDS["fewshot"])
    with _seeded(), _enough_memory(), _silent():
        lm = language_model()(model, tokenizer, cached, wanted.batch_size, watcher)
        results = evaluate(
            lm,
            {"tasks": task.leaves, "groups": task.groups},
            limit=wanted.limit,
            bootstrap_iters=0,
        )
    assert results is not None
    return _reading(task, results, wanted)


@functools.cache
def language_model() -> Any:
    """lm-eval's own model of transformers, which tells its progress and can do without a cache."""
    from lm_eval.models.huggingface import HFLM

    class LanguageModel(HFLM):  # type: ignore[misc]
        def __init__(
            self, model: Any, tokenizer: Any, cached: bool, batch_size: int, watcher: Watcher
        ) -> None:
            super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
            self.cached = cached
            self.watcher = watcher
            self.total = 0
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
            """Called by lm-eval when a request is answered."""
            self.done += 1
            self.watcher.count(self.done, self.total, "requests")

        def _model_generate(self, *args: Any, **kwargs: Any) -> Any:
            with contextlib.nullcontext() if self.cached else _without_cache(self.model):
                return super()._model_generate(*args, **kwargs)

    return LanguageModel


@contextlib.contextmanager
def _without_cache(model: Any) -> Iterator[None]:
    """lm-eval asks for a cache, which a model with bypassed blocks cannot keep."""
    generate = model.generate

    def uncached(*args: Any, **kwargs: Any) -> Any:
        return generate(*args, **{**kwargs, "use_cache": False})

    model.generate = uncached
    try:
        yield
    finally:
        del model.generate


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    """Seed what lm-eval seeds, and give everything back as it was."""
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
def _enough_memory() -> Iterator[None]:
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ConfigError(
            "the device ran out of memory; what was evaluated is kept: run the same command with "
            "a lower --batch-size"
        ) from error


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """lm-eval shows bars of its own while it builds prompts, and no option leaves them out."""
    import lm_eval.api.task as task

    shown = task.tqdm
    if not os.environ.get("PRUNEKIT_VERBOSE"):
        task.tqdm = functools.partial(shown, disable=True)
    try:
        yield
    finally:
        task.tqdm = shown


def _reading(task: LoadedTask, results: Mapping[str, Any], wanted: Wanted) -> TaskReading:
    scores = _scores(results["results"][task.name])
    key = _headline(scores)
    metric, value = key.partition(",")[0], scores[key]
    items = _items(task, results["samples"], key)
    better = results["higher_is_better"].get(task.name, {}).get(metric)
    return TaskReading(
        name=task.name,
        metric=metric,
        value=value,
        higher_is_better=better is not False,
        items=items if value is not None and _is_mean(items, value) else (),
        record={
            "metrics": scores,
            "items": sum(n["effective"] for n in results["n-samples"].values()),
            "items_there_are": sum(n["original"] for n in results["n-samples"].values()),
            "limit": wanted.limit,
            "num_fewshot": results["n-shot"].get(task.name),
            "task_version": results["versions"].get(task.name),
            "batch_size": wanted.batch_size,
            "lm_eval": version("lm-eval"),
        },
    )


def _scores(row: Mapping[str, Any]) -> dict[str, float | None]:
    """lm-eval's `metric,filter` with their values, None where one is not finite."""
    found = {k: v for k, v in row.items() if "," in k and "_stderr," not in k}
    numbers = {k: float(v) for k, v in found.items() if isinstance(v, (int, float))}
    return dict(finite(numbers))


def _headline(scores: Mapping[str, Any]) -> str:
    for metric in PREFERRED:
        for key in scores:
            if key.partition(",")[0] == metric:
                return key
    return next(iter(scores))


def _items(task: LoadedTask, samples: Mapping[str, Any], key: str) -> tuple[float, ...]:
    """What every item scored, where that is a number."""
    metric, _, chosen = key.partition(",")
    rows = [row for leaf in task.leaves for row in samples[leaf] if row["filter"] == chosen]
    values = [row.get(metric) for row in rows]
    if not all(isinstance(value, (int, float)) for value in values):
        return ()
    return tuple(float(value) for value in values)


def _is_mean(items: tuple[float, ...], value: float) -> bool:
    return bool(items) and abs(math.fsum(items) / len(items) - value) < ROUNDING
