"""Tasks of the Language Model Evaluation Harness, run in process on a model in memory."""

from __future__ import annotations

import contextlib
import difflib
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import ConfigError
from prunekit.plugins.objectives.rows import DEMO_DATA
from prunekit.workflows.evaluation.readings import TaskReading

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

COMMONSENSE = ("hellaswag", "winogrande", "arc_easy", "arc_challenge", "piqa", "boolq")
"""The six of the study (arXiv 2604.24938, section 4)."""
ALIASES = {"commonsense": COMMONSENSE}
METRICS = ("acc_norm", "acc")

DEMO_TASK: dict[str, Any] = {
    "task": "demo",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": str(DEMO_DATA / "evaluation-items.jsonl")}},
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "{{context}}",
    "doc_to_choice": "{{choices}}",
    "doc_to_target": "{{answer}}",
    "metric_list": [
        {"metric": metric, "aggregation": "mean", "higher_is_better": True}
        for metric in ("acc", "acc_norm")
    ],
    "metadata": {"version": 1.0},
}


class Tasks:
    """Some tasks of the harness, with their data at hand."""

    def __init__(
        self,
        names: Sequence[str],
        include_path: Path | None = None,
        limit: int | None = None,
        batch_size: int = 1,
    ) -> None:
        self.names = expanded(names)
        self.include_path = include_path
        self.limit = limit
        self.batch_size = batch_size

    def check(self) -> None:
        """ConfigError that names every task which does not exist or whose data cannot be had."""
        assert self._loaded

    def run(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        tell: Callable[[float], None] = lambda share: None,
    ) -> dict[str, TaskReading]:
        """What the harness finds; `tell` hears which share of the requests is done."""
        from lm_eval import simple_evaluate

        found: Any = simple_evaluate(
            model=_watched(model, tokenizer, self.batch_size, tell),
            tasks=list(self._loaded),
            limit=self.limit,
            bootstrap_iters=0,
            log_samples=True,
        )
        return {
            name: _reading(metrics, found["samples"].get(name, []), found["n-samples"].get(name))
            for name, metrics in found["results"].items()
        }

    @cached_property
    def _loaded(self) -> tuple[Any, ...]:
        from lm_eval.tasks import TaskManager

        manager = TaskManager(include_path=self.include_path and str(self.include_path))
        loaded, missing = [], []
        for name in self.names:
            if name != "demo" and name not in manager.task_index:
                missing.append(f"{name}: no such task{_near(name, manager.all_tasks)}")
                continue
            try:
                tasks = manager.load([DEMO_TASK if name == "demo" else name])
            except Exception as error:
                missing.append(f"{name}: its data cannot be had ({type(error).__name__})")
                continue
            loaded += tasks["groups"].values() or tasks["tasks"].values()
        if missing:
            raise ConfigError(
                f"{'; '.join(missing)}. Leave them out, run where there is a network, or name "
                "tasks that read local files with --include-path"
            )
        return tuple(loaded)


def _near(name: str, known: Sequence[str]) -> str:
    """There are thousands of tasks, too many to list."""
    near = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def expanded(names: Sequence[str]) -> tuple[str, ...]:
    """The tasks, with words for several of them spelt out, each once.

    >>> expanded(["piqa", "commonsense"])[:3]
    ('piqa', 'hellaswag', 'winogrande')
    """
    return tuple(dict.fromkeys(task for name in names for task in ALIASES.get(name, (name,))))


def _watched(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    batch_size: int,
    tell: Callable[[float], None],
) -> Any:
    """The harness's own way to run a model, that tells how far it is."""
    from lm_eval.models.huggingface import HFLM

    class Watched(HFLM):  # type: ignore[misc]
        def _loglikelihood_tokens(
            self, requests: Any, disable_tqdm: bool = False, override_bs: int | None = None
        ) -> Any:
            self.done, self.requests = 0, max(1, len(requests))
            return super()._loglikelihood_tokens(requests, True, override_bs)

        def _model_call(self, inps: Any, *args: Any, **kwargs: Any) -> Any:
            logits = super()._model_call(inps, *args, **kwargs)
            self.done += len(inps)
            tell(min(1.0, self.done / self.requests))
            return logits

    return Watched(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)


def _reading(metrics: Mapping[str, Any], samples: Sequence[Any], count: Any) -> TaskReading:
    """The harness calls a metric `acc,none`: its name, and the filter that answers went through."""
    numbers = {
        key: float(value)
        for key, value in metrics.items()
        if "," in key and isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    values = {key: value for key, value in numbers.items() if "_stderr," not in key}
    key = next(
        (k for wanted in METRICS for k in values if k.partition(",")[0] == wanted),
        next(iter(values), ""),
    )
    name = key.partition(",")[0]
    items = tuple(float(s[name]) for s in samples if isinstance(s.get(name), (int, float)))
    value = values.get(key, math.nan)
    if not items or not math.isclose(sum(items) / len(items), value, abs_tol=1e-9):
        items = ()
    details = {"items": count["effective"]} if isinstance(count, Mapping) else {}
    return TaskReading(name, value, _mean_error(items), numbers, items, details)


def _mean_error(items: Sequence[float]) -> float | None:
    return statistics.stdev(items) / math.sqrt(len(items)) if len(items) > 1 else None


@contextlib.contextmanager
def without_cache(model: Any) -> Iterator[None]:
    """A model with bypassed blocks cannot keep a cache: it would count the tokens of block 0."""
    configs = {id(c): c for c in (model.config, model.config.get_text_config())}.values()
    before = [getattr(config, "use_cache", None) for config in configs]
    generate = model.generate
    model.generate = lambda *args, **kwargs: generate(*args, **{**kwargs, "use_cache": False})
    for config in configs:
        config.use_cache = False
    try:
        yield
    finally:
        del model.generate
        for config, value in zip(configs, before, strict=True):
            config.use_cache = value
