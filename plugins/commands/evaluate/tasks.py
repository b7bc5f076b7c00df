"""Tasks of lm-eval: find them and their data, and the texts, before any model is loaded."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from prunekit.core.errors import ConfigError
from prunekit.core.options import suggest
from prunekit.hf.unreadable import first_line
from prunekit.plugins.commands.evaluate.config import COMMONSENSE, DEMO, EvalConfig
from prunekit.plugins.commands.evaluate.texts import DEMO_DATA, check_documents, protocols_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T")


@dataclass(frozen=True)
class LoadedTask:
    """A task with its data, or a group of tasks that has a score of its own."""

    name: str
    leaves: dict[str, Any]
    groups: dict[str, Any]

    def digest(
        self, limit: int | None, tokenizer: PreTrainedTokenizerBase, chat: bool = False
    ) -> str:
        """Return a digest of its items, prompts, tokens and scoring."""
        digest = hashlib.blake2b(digest_size=8)
        if chat:
            digest.update(_plain(tokenizer.chat_template).encode())
        digest.update(f"{version('lm-eval')} {limit}".encode())
        for name, task in self.leaves.items():
            digest.update(f"{name} {_plain(task.dump_config())}".encode())
            for _, document in task.doc_iterator(limit=limit):
                text = _plain(document)
                digest.update(f"{text} {tokenizer(text)['input_ids']}".encode())
        return digest.hexdigest()


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def load_tasks(config: EvalConfig) -> list[LoadedTask]:
    """Load the requested tasks, a tag as its members. Raises ConfigError naming all that fail."""
    return _load(config.task_names, config.include_path, config.num_fewshot)


def preflight(config: EvalConfig) -> None:
    """Raise ConfigError with all texts and tasks that cannot be read, before any work is done."""
    _, missing = _try_each(config.perplexities, functools.partial(_check_text, config))
    try:
        load_tasks(config)
    except ConfigError as error:
        if error.key:
            raise
        missing.append(str(error))
    if missing:
        raise ConfigError("; ".join(missing))


def _check_text(config: EvalConfig, name: str) -> None:
    (protocol,) = protocols_of(replace(config, perplexities=(name,)))
    check_documents(protocol)


def check_names(config: EvalConfig) -> None:
    """Raise ConfigError naming all that are not tasks, without looking for their data."""
    if names := [name for name in config.task_names if name not in (DEMO, *COMMONSENSE)]:
        manager = _manager(names, config.include_path)
        _each(names, lambda name: _check_name(name, manager))


@functools.lru_cache(maxsize=1)
def _load(
    names: tuple[str, ...], include_path: Path | None, num_fewshot: int | None
) -> list[LoadedTask]:
    manager = _manager(names, include_path)
    units = _each(names, lambda name: _load_one(name, manager))
    loaded = {task.name: task for of_name in units for task in of_name}
    for leaf in (leaf for task in loaded.values() for leaf in task.leaves.values()):
        # As lm-eval's command line does it: a task that sets 0 few-shot examples keeps 0.
        own = leaf.get_config("num_fewshot")
        if own is None or (num_fewshot is not None and own != 0):
            leaf.set_config(key="num_fewshot", value=num_fewshot or 0)
    return list(loaded.values())


def _manager(names: Sequence[str], include_path: Path | None) -> Any:
    """Read lm-eval's own tasks, thousands of files, only if one of them is requested."""
    if include_path is not None and not include_path.is_dir():
        raise ConfigError(f"no such folder: {include_path}", ("include_path",))
    from lm_eval.tasks import TaskManager

    own = TaskManager(include_path=include_path, include_defaults=False)
    if all(name == DEMO or _is_own(name, own) for name in names):
        return own
    return TaskManager(include_path=include_path) if include_path else _all_of_lm_eval()


def _is_own(name: str, own: Any) -> bool:
    """Return True for a task of the folder, and for a group that lists such tasks only."""
    tasks = set(own.all_subtasks)
    if name not in own.all_groups:
        return name in tasks
    members = own.task_index[name].cfg.get("task")
    return isinstance(members, list) and all(isinstance(m, str) and m in tasks for m in members)


@functools.cache
def _all_of_lm_eval() -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager()


def _check_name(name: str, manager: Any) -> None:
    if name not in manager.task_index and not Path(name).is_file():
        near = suggest(name, [*manager.all_tasks, DEMO, "commonsense"])
        near = near if near.startswith(" Did") else ""  # not a list of thousands of names
        raise ConfigError(f"{name} is not a task of lm-eval {version('lm-eval')}.{near}")


def _each(names: Sequence[str], work: Callable[[str], T]) -> list[T]:
    """Apply `work` to every name. Raises ConfigError naming all for which it fails."""
    made, missing = _try_each(names, work)
    if missing:
        named = "; ".join(missing)
        raise ConfigError(
            f"tasks that cannot be evaluated: {named}{' ' if named[-1] in '?.' else '. '}Leave "
            "them out, or describe them on local files (docs/evaluation.md)"
        )
    return made


def _try_each(names: Sequence[str], work: Callable[[str], T]) -> tuple[list[T], list[str]]:
    """Apply `work` to every name; return the results, and the messages of its ConfigErrors.

    An error with the key of another setting is raised at once.
    """
    made: list[T] = []
    missing: list[str] = []
    for name in names:
        try:
            made.append(work(name))
        except ConfigError as error:
            if error.key:
                raise
            missing.append(str(error))
    return made, missing


def _load_one(name: str, manager: Any) -> list[LoadedTask]:
    """Load one unit for a task or a group with a score of its own, else one for each member."""
    if name == DEMO:
        loaded = manager.load([demo_task()])
    else:
        _check_name(name, manager)
        try:
            loaded = manager.load([name])
        except Exception as error:  # loading a task runs code and reads data of others
            raise ConfigError(f"{name} ({type(error).__name__}: {first_line(error)})") from error
    tasks, groups = loaded["tasks"], loaded.get("groups", {})
    for task_name, task in tasks.items():
        if getattr(task, "UNSAFE_CODE", False):
            raise ConfigError(f"{task_name} runs code that models write, which prunekit does not")
        if getattr(task, "MULTIMODAL", False):
            raise ConfigError(f"{task_name} needs more than text")
    if name in groups and groups[name].has_aggregation:
        return [LoadedTask(name, tasks, groups)]
    return [LoadedTask(one, {one: task}, {}) for one, task in tasks.items()]


def demo_task() -> dict[str, Any]:
    """Return the embedded items, as a configuration of lm-eval."""
    import yaml

    config: dict[str, Any] = yaml.safe_load((DEMO_DATA / "demo.yaml").read_text(encoding="utf-8"))
    items = DEMO_DATA / "evaluation-items.jsonl"
    return {**config, "dataset_kwargs": {"data_files": {"test": str(items)}}}
