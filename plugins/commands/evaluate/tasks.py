"""Tasks of lm-eval: find them and their data before any model is loaded."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from prunekit.core.errors import ConfigError
from prunekit.core.options import suggest
from prunekit.hf.checkpoint import first_line
from prunekit.plugins.commands.evaluate.documents import DEMO_DATA
from prunekit.plugins.commands.evaluate.wanted import COMMONSENSE, DEMO, Wanted

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T")


@dataclass(frozen=True)
class LoadedTask:
    """A task with its data, or a group of tasks that has a score of its own."""

    name: str
    leaves: dict[str, Any]
    groups: dict[str, Any]

    def digest(self, limit: int | None, tokenizer: PreTrainedTokenizerBase) -> str:
        """What tells its items, prompts, tokens and this way to score them from others."""
        digest = hashlib.blake2b(digest_size=8)
        digest.update(f"{_version()} {limit}".encode())
        for name, task in self.leaves.items():
            digest.update(f"{name} {_plain(task.dump_config())}".encode())
            for _, document in task.doc_iterator(limit=limit):
                text = _plain(document)
                digest.update(f"{text} {tokenizer(text)['input_ids']}".encode())
        return digest.hexdigest()


def load_tasks(wanted: Wanted) -> list[LoadedTask]:
    """The tasks asked for, a tag as its members; ConfigError names all that cannot be had."""
    return _load(wanted.task_names, wanted.include_path, wanted.num_fewshot)


def check_names(wanted: Wanted) -> None:
    """ConfigError naming all that are no tasks; whether their data can be had is not looked at."""
    if names := [name for name in wanted.task_names if name not in (DEMO, *COMMONSENSE)]:
        manager = _manager(names, wanted.include_path)
        _each(names, lambda name: _check_name(name, manager))


@lru_cache(maxsize=1)
def _load(
    names: tuple[str, ...], include_path: Path | None, num_fewshot: int | None
) -> list[LoadedTask]:
    manager = _manager(names, include_path)
    units = _each(names, lambda name: _load_one(name, manager))
    loaded = {task.name: task for of_name in units for task in of_name}
    for task in loaded.values():
        for leaf in task.leaves.values():
            _set_fewshot(leaf, num_fewshot)
    return list(loaded.values())


def _set_fewshot(task: Any, num_fewshot: int | None) -> None:
    """As lm-eval's command line does it: a task that says it has no solved examples keeps none."""
    own = task.get_config("num_fewshot")
    if own is None or (num_fewshot is not None and own != 0):
        task.set_config(key="num_fewshot", value=num_fewshot or 0)


def _manager(names: Sequence[str], include_path: Path | None) -> Any:
    """lm-eval's own tasks are thousands of files: they are read only where one of them is meant."""
    if include_path is not None and not include_path.is_dir():
        raise ConfigError(f"--include-path {include_path}: no such folder")
    from lm_eval.tasks import TaskManager

    own = TaskManager(include_path=include_path, include_defaults=False)
    if set(names) <= {DEMO, *own.all_subtasks}:
        return own
    return TaskManager(include_path=include_path) if include_path else _all_of_lm_eval()


@cache
def _all_of_lm_eval() -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager()


def _check_name(name: str, manager: Any) -> None:
    if name not in manager.task_index and not Path(name).is_file():
        near = suggest(name, [*manager.all_tasks, DEMO, "commonsense"])
        raise ConfigError(f"{name} is no task of lm-eval {_version()}.{_short(near)}")


def _each(names: Sequence[str], work: Callable[[str], T]) -> list[T]:
    """What the work makes of every name; ConfigError names all that it cannot be done for."""
    made: list[T] = []
    missing: list[str] = []
    for name in names:
        try:
            made.append(work(name))
        except ConfigError as error:
            missing.append(str(error))
    if missing:
        named = "; ".join(missing)
        raise ConfigError(
            f"tasks that cannot be evaluated: {named}{' ' if named[-1] in '?.' else '. '}Leave "
            "them out, or describe them on local files with --include-path (docs/evaluation.md)"
        )
    return made


def _load_one(name: str, manager: Any) -> list[LoadedTask]:
    if name == DEMO:
        loaded = manager.load([demo_task()])
    else:
        _check_name(name, manager)
        with _having_data(name):
            loaded = manager.load([name])
    return list(_units(name, loaded))


def _units(name: str, loaded: Any) -> Iterator[LoadedTask]:
    """One unit for a task or a group with a score of its own, else one for each member."""
    tasks, groups = loaded["tasks"], loaded.get("groups", {})
    for task_name, task in tasks.items():
        if getattr(task, "UNSAFE_CODE", False):
            raise ConfigError(f"{task_name} runs code that models write, which prunekit does not")
        if getattr(task, "MULTIMODAL", False):
            raise ConfigError(f"{task_name} needs more than text")
    if name in groups and groups[name].has_aggregation:
        yield LoadedTask(name, tasks, groups)
    else:
        yield from (LoadedTask(one, {one: task}, {}) for one, task in tasks.items())


def demo_task() -> dict[str, Any]:
    """The embedded items, as a configuration of lm-eval."""
    import yaml

    config: dict[str, Any] = yaml.safe_load((DEMO_DATA / "demo.yaml").read_text(encoding="utf-8"))
    items = DEMO_DATA / "evaluation-items.jsonl"
    return {**config, "dataset_kwargs": {"data_files": {"test": str(items)}}}


@contextlib.contextmanager
def _having_data(name: str) -> Iterator[None]:
    """Loading a task runs code and reads data of others: whatever fails, it cannot be had."""
    try:
        yield
    except Exception as error:
        raise ConfigError(f"{name} ({type(error).__name__}: {first_line(error)})") from error


def _short(suggestion: str) -> str:
    """Not a list of all thousands of names."""
    return suggestion if suggestion.startswith(" Did") else ""


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _version() -> str:
    from importlib.metadata import version

    return version("lm-eval")
