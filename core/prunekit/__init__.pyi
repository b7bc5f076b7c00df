"""What type checkers and editors see of the package; tests/stub.py writes it."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from prunekit.core.errors import CheckpointError as CheckpointError
from prunekit.core.errors import ConfigError as ConfigError
from prunekit.core.errors import Interrupted as Interrupted
from prunekit.core.errors import OutOfMemory as OutOfMemory
from prunekit.core.errors import PluginError as PluginError
from prunekit.core.errors import PrunekitError as PrunekitError
from prunekit.core.errors import Remark as Remark
from prunekit.core.errors import StorageError as StorageError
from prunekit.core.registry import Registry as Registry
from prunekit.engine.progress import Step as Step
from prunekit.engine.result import SearchResult as SearchResult
from prunekit.plugins.commands.certify.certificate import Certificate as Certificate
from prunekit.plugins.commands.certify.certificate import NotCertified as NotCertified
from prunekit.plugins.commands.curve.result import CurveResult as CurveResult
from prunekit.plugins.commands.draft.result import DraftResult as DraftResult
from prunekit.plugins.commands.draft.result import NoDraftPays as NoDraftPays
from prunekit.plugins.commands.evaluate.comparison import EvaluationResult as EvaluationResult
from prunekit.plugins.commands.evaluate.gate import GateMissed as GateMissed
from prunekit.plugins.commands.heal.result import HealResult as HealResult
from prunekit.plugins.commands.heal.result import NotHealed as NotHealed
from prunekit.plugins.commands.heal.result import TooMuchLost as TooMuchLost
from prunekit.plugins.commands.latency.latency import LatencyResult as LatencyResult
from prunekit.plugins.commands.list_plugins.listing import Listing as Listing
from prunekit.plugins.commands.report.data import Study as Study
from prunekit.plugins.commands.report.writing import Report as Report
from prunekit.plugins.commands.show.show import Shown as Shown
from prunekit.plugins.commands.study.run import StudyOutcome as StudyOutcome
from prunekit.plugins.commands.track.track import Tracked as Tracked

__version__: str

def certify(
    model: str | None = ...,
    *,
    run: str | Path | None = ...,
    budget: int | None = ...,
    remove: Iterable[int] | None = ...,
    baseline: str | None = ...,
    ppl: str | Iterable[str] = ...,
    tasks: str | Iterable[str] = ...,
    thresholds: str | Path | None = ...,
    card: bool = ...,
    workdir: str | Path = ...,
    progress: bool | Callable[[Step], None] = ...,
    prompts: str = ...,
    plain_prompts: bool = ...,
    new_tokens: int = ...,
    samples: int = ...,
    temperature: float = ...,
    exercises: int = ...,
    batch_size: int = ...,
    seed: int = ...,
    limit: int | None = ...,
    include_path: Path | None = ...,
    num_fewshot: int | None = ...,
    apply_chat_template: bool = ...,
    ppl_length: int | None = ...,
    ppl_stride: int | None = ...,
    ppl_samples: int | None = ...,
    ppl_bos: Literal["auto", "every", "none", "tokenizer"] = ...,
    ppl_column: str | None = ...,
    adapter: str | None = ...,
    device: str = ...,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = ...,
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = ...,
    revision: str | None = ...,
    trust_remote_code: bool = ...,
    tokens_per_forward: int = ...,
) -> Certificate: ...
def curve(
    model: str | None = ...,
    *,
    workdir: str | Path = ...,
    every: int = ...,
    evaluate: str = ...,
    evaluate_samples: int | None = ...,
    progress: bool | Callable[[Step], None] = ...,
    searcher: str = ...,
    objective: str = ...,
    repair: str = ...,
    repair_tokens: int | None = ...,
    budget: int | str | None = ...,
    shrink: str | None = ...,
    max_parameters: str | None = ...,
    max_memory: str | None = ...,
    min_speedup: float | None = ...,
    protect_first: int = ...,
    protect_last: int = ...,
    protect: str | None = ...,
    keep_pattern: bool = ...,
    race_deviations: float = ...,
    seed: int = ...,
    adapter: str | None = ...,
    backend: str = ...,
    device: str = ...,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = ...,
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = ...,
    revision: str | None = ...,
    trust_remote_code: bool = ...,
    tokens_per_forward: int = ...,
    state_memory: str | None = ...,
    **plugins: Mapping[str, Any],
) -> CurveResult: ...
def draft(
    model: str | None = ...,
    *,
    to: str | Path | None = ...,
    run: str | Path | None = ...,
    remove: Iterable[int] | None = ...,
    budget: int | None = ...,
    workdir: str | Path = ...,
    progress: bool | Callable[[Step], None] = ...,
    budgets: str | None = ...,
    lookahead: str = ...,
    prompts: str = ...,
    new_tokens: int = ...,
    plain_prompts: bool = ...,
    repeats: int = ...,
    searcher: str = ...,
    objective: str = ...,
    protect_first: int = ...,
    protect_last: int = ...,
    protect: str | None = ...,
    keep_pattern: bool = ...,
    race_deviations: float = ...,
    seed: int = ...,
    adapter: str | None = ...,
    backend: str = ...,
    device: str = ...,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = ...,
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = ...,
    revision: str | None = ...,
    trust_remote_code: bool = ...,
    tokens_per_forward: int = ...,
    state_memory: str | None = ...,
    **plugins: Mapping[str, Any],
) -> DraftResult: ...
def evaluate(
    model: str | None = ...,
    *,
    run: str | Path | None = ...,
    budget: int | None = ...,
    remove: Iterable[int] | None = ...,
    baseline: str | None = ...,
    also: str | Iterable[str] = ...,
    ppl: str | Iterable[str] = ...,
    tasks: str | Iterable[str] = ...,
    max_ppl_ratio: float | None = ...,
    min_accuracy: float | Mapping[str, float | str] | None = ...,
    prompts: str | Path | None = ...,
    new_tokens: int = ...,
    plain_prompts: bool = ...,
    workdir: str | Path = ...,
    prove: bool = ...,
    progress: bool | Callable[[Step], None] = ...,
    limit: int | None = ...,
    include_path: Path | None = ...,
    num_fewshot: int | None = ...,
    apply_chat_template: bool = ...,
    batch_size: int = ...,
    ppl_length: int | None = ...,
    ppl_stride: int | None = ...,
    ppl_samples: int | None = ...,
    ppl_bos: Literal["auto", "every", "none", "tokenizer"] = ...,
    ppl_column: str | None = ...,
    adapter: str | None = ...,
    device: str = ...,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = ...,
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = ...,
    revision: str | None = ...,
    trust_remote_code: bool = ...,
    tokens_per_forward: int = ...,
) -> EvaluationResult: ...
def export(
    model: str | None = ...,
    *,
    to: str | Path,
    remove: Iterable[int] | None = ...,
    run: str | Path | None = ...,
    budget: int | None = ...,
    format: str = ...,
    dtype: str | None = ...,
    workdir: str | Path = ...,
    progress: bool | Callable[[Step], None] = ...,
    adapter: str | None = ...,
    device: str = ...,
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = ...,
    revision: str | None = ...,
    trust_remote_code: bool = ...,
) -> Path: ...
def heal(
    model: str | None = ...,
    *,
    to: str | Path,
    run: str | Path | None = ...,
    remove: Iterable[int] | None = ...,
    budget: int | None = ...,
    teacher: str | None = ...,
    max_ppl_ratio: float | None = ...,
    workdir: str | Path = ...,
    progress: bool | Callable[[Step], None] = ...,
    tokens: int | None = ...,
    full: bool = ...,
    last: int | None = ...,
    rank: int | None = ...,
    rate: float | None = ...,
    distill: float = ...,
    keep_words: int = ...,
    batch_tokens: int = ...,
    checks: int = ...,
    patience: int = ...,
    device_map: Literal["none", "auto", "disk"] = ...,
    recompute: bool = ...,
    objective: str = ...,
    seed: int = ...,
    adapter: str | None = ...,
    device: str = ...,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = ...,
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = ...,
    revision: str | None = ...,
    trust_remote_code: bool = ...,
    tokens_per_forward: int = ...,
    **plugins: Mapping[str, Any],
) -> HealResult: ...
def latency(
    model: str | None = ...,
    *,
    remove: Iterable[int] | None = ...,
    run: str | Path | None = ...,
    budget: int | None = ...,
    workdir: str | Path = ...,
    progress: bool | Callable[[Step], None] = ...,
    prompt_length: int = ...,
    new_tokens: int = ...,
    batch_size: int = ...,
    repeats: int = ...,
    adapter: str | None = ...,
    device: str = ...,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = ...,
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = ...,
    revision: str | None = ...,
    trust_remote_code: bool = ...,
) -> LatencyResult: ...
def list_plugins(
    name: str | None = ...,
    registry: Registry | None = ...,
) -> Listing: ...
def load_study(
    study: str | Path,
    *,
    workdir: str | Path = ...,
) -> Study: ...
def new_plugin(
    name: str,
    kind: str,
    to: str | Path | None = ...,
) -> Path: ...
def report(
    study: str | Path,
    to: str | Path | None = ...,
    *,
    workdir: str | Path = ...,
    progress: bool | Callable[[Step], None] = ...,
) -> Report: ...
def search(
    model: str | None = ...,
    *,
    workdir: str | Path = ...,
    save: str | Path | None = ...,
    prove: bool = ...,
    progress: bool | Callable[[Step], None] = ...,
    searcher: str = ...,
    objective: str = ...,
    repair: str = ...,
    repair_tokens: int | None = ...,
    budget: int | str | None = ...,
    shrink: str | None = ...,
    max_parameters: str | None = ...,
    max_memory: str | None = ...,
    min_speedup: float | None = ...,
    protect_first: int = ...,
    protect_last: int = ...,
    protect: str | None = ...,
    keep_pattern: bool = ...,
    finalists: int = ...,
    race_deviations: float = ...,
    seed: int = ...,
    adapter: str | None = ...,
    backend: str = ...,
    device: str = ...,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = ...,
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = ...,
    revision: str | None = ...,
    trust_remote_code: bool = ...,
    tokens_per_forward: int = ...,
    state_memory: str | None = ...,
    **plugins: Mapping[str, Any],
) -> SearchResult: ...
def show(
    path: str | Path,
    *,
    workdir: str | Path = ...,
    best: int | None = ...,
    budget: int | None = ...,
) -> Shown: ...
def study(
    file: str | Path | Mapping[str, Any],
    *,
    only: str | None = ...,
    jobs: int | None = ...,
    workdir: str | Path = ...,
    trust_remote_code: bool = ...,
    prove: bool = ...,
    progress: bool | Callable[[Step], None] = ...,
) -> StudyOutcome: ...
def track(
    name: str | Path,
    *,
    tracker: str = ...,
    project: str = ...,
    workdir: str | Path = ...,
    progress: bool | Callable[[Step], None] = ...,
    **plugins: Mapping[str, Any],
) -> Tracked: ...
