"""Shared fixtures: tiny random models, fake plugins, and a place to work in."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach the network
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side, and models are tiny
os.environ.setdefault("GOMP_SPINCOUNT", "100")  # a thread that waits leaves its core to the others

import copy
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prunekit.core import ModelFacts, Piece, Subset
from prunekit.core import registry as plugins
from prunekit.testing import toy_loss

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # after nohup; a child would ignore it too
    signal.signal(signal.SIGINT, signal.default_int_handler)

FAMILIES: dict[str, dict[str, Any]] = {
    "llama3": {"model_type": "llama"},
    "llama31": {
        "model_type": "llama",
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 10000.0,
            "factor": 4.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    },
    "qwen3": {"model_type": "qwen3", "head_dim": 8},
    "gpt2": {"model_type": "gpt2", "n_embd": 32, "n_head": 4, "n_positions": 64},
    "gemma2": {"model_type": "gemma2", "head_dim": 8, "query_pre_attn_scalar": 8},
    "qwen3-sliding": {
        "model_type": "qwen3",
        "head_dim": 8,
        "use_sliding_window": True,
        "sliding_window": 8,
        "max_window_layers": 2,
    },
}
SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": None,
}


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Tests marked `gpu` run where torch sees one, and are skipped elsewhere."""
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if on_gpu and not _sees_a_gpu():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="torch sees no GPU"))


def _sees_a_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def demo_tokenizer() -> Any:
    from transformers import AutoTokenizer

    from prunekit.plugins.models.qwen3 import Qwen3

    return AutoTokenizer.from_pretrained(Qwen3.demo)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: Any, demo_tokenizer: Any) -> Callable[..., Path]:
    """A folder with a random checkpoint of a family: `tiny_model("qwen3", n_blocks=8)`."""
    made: dict[Any, Path] = {}

    def make(family: str = "llama3", n_blocks: int = 8, **more: Any) -> Path:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        key = (family, n_blocks, *sorted(more.items()))
        if key not in made:
            torch.manual_seed(0)
            settings = {**SHAPE, **FAMILIES[family], "num_hidden_layers": n_blocks, **more}
            config = AutoConfig.for_model(**settings, vocab_size=len(demo_tokenizer))
            folder = tmp_path_factory.mktemp("models") / f"{family}-{len(made)}"
            AutoModelForCausalLM.from_config(config).save_pretrained(folder)
            demo_tokenizer.save_pretrained(folder)
            made[key] = folder
        return made[key]

    return make


@pytest.fixture
def family_model(demo_tokenizer: Any, tmp_path: Path) -> Any:
    """`family_model("gpt2")`: the folder of a checkpoint, and the blocks to remove from it."""

    def make(name: str) -> tuple[Path, list[int]]:
        from families.build import build, removed_from

        folder = tmp_path / "model"
        build(name, folder)
        demo_tokenizer.save_pretrained(folder)
        return folder, list(removed_from(name))

    return make


@pytest.fixture
def llama_like(demo_tokenizer: Any) -> Any:
    """A tokenizer that puts a beginning-of-text token before every text, as Llama's does."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = copy.deepcopy(demo_tokenizer)
    token = tokenizer.bos_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{token} $A", pair=f"{token} $A {token} $B", special_tokens=[(token, 0)]
    )
    assert tokenizer("a").input_ids[0] == 0
    return tokenizer


@pytest.fixture
def install(
    tmp_path: Path, monkeypatch: Any, forget_plugins: Callable[[], None]
) -> Callable[..., None]:
    """Put a module where pip would, with the metadata it would write: `install(name, source)`."""
    place = tmp_path / "site"
    place.mkdir()
    monkeypatch.syspath_prepend(place)

    def write(name: str, source: str, version: str = "1.0") -> None:
        module = name.replace("-", "_")
        monkeypatch.delitem(sys.modules, module, raising=False)
        (place / f"{module}.py").write_text(source)
        info = place / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[prunekit]\n{module} = {module}\n")
        forget_plugins()

    return write


@pytest.fixture(autouse=True)
def forget_plugins() -> Iterator[Callable[[], None]]:
    """Read the installed plugins anew where a test asks for it, and once more after it."""
    asked = []

    def forget() -> None:
        asked.append(True)
        for cached in (plugins.load, plugins.load_commands, plugins._entry_points):
            cached.cache_clear()

    yield forget
    if asked:
        forget()


_proven: set[object] = set()


@pytest.fixture
def proven_once(monkeypatch: Any) -> None:
    """Prove a model that was proven in this process no more: the same weights and the same code.

    For tests of what comes after the proof, which takes half the time of a search of a tiny model.
    """
    from prunekit.hf import loading

    prove = loading.prove

    def prove_once(adapter: Any) -> None:
        family = type(adapter)
        code = (family, family.enter, family.block, family.output, family.reference)
        key = (*code, adapter.facts.n_blocks, frozenset(adapter.facts.fingerprint.items()))
        if key not in _proven:
            prove(adapter)
            _proven.add(key)

    monkeypatch.setattr(loading, "prove", prove_once)


class CleanEnvironment:
    """A virtual environment of its own, which sees what is installed where the tests run."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "venv", symlinks=True)
        self.python = folder / "venv" / "bin" / "python"
        (own,) = (folder / "venv" / "lib").glob("python*/site-packages")
        above = [p for p in dict.fromkeys(sys.path) if Path(p).name == "site-packages"]
        lines = (f"import site; site.addsitedir({path!r})\n" for path in above)
        (own / "above.pth").write_text("".join(lines))
        self.folder = folder

    def run(self, *words: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        """`python ...` in that environment, as `run("-m", "prunekit", "list-plugins")`."""
        done = subprocess.run(
            [self.python, *words], cwd=self.folder, capture_output=True, text=True
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def install(self, *sources: Path) -> None:
        """`pip install` of folders, without a network; nothing is built inside them."""
        copies = [self.folder / "sources" / source.name for source in sources]
        for source, target in zip(sources, copies, strict=True):
            shutil.copytree(source, target)
        self._pip("install", "--no-deps", "--no-index", "--no-build-isolation", *copies)

    def uninstall(self, *names: str) -> None:
        """`pip uninstall` of what was installed here."""
        self._pip("uninstall", "--yes", *names)

    def _pip(self, *words: str | Path) -> None:
        command = [sys.executable, "-m", "pip", "--python", self.python, *words]
        subprocess.run(command, check=True, capture_output=True, text=True)


@pytest.fixture(scope="session")
def environment_in() -> type[CleanEnvironment]:
    return CleanEnvironment


@pytest.fixture
def clean_environment(tmp_path: Path) -> CleanEnvironment:
    return CleanEnvironment(tmp_path)


class ToyMeter:
    """Made-up measurements on batches of two samples, counting what it is asked."""

    def __init__(self, n_blocks: int = 12, batches: int = 2) -> None:
        self.facts = ModelFacts(n_blocks, 100 * n_blocks, (100,) * n_blocks, {"weights": "toy"})
        self.batches = batches
        self.log: list[tuple[int, Subset]] = []

    def measure(self, wanted: Sequence[Sequence[Subset]]) -> Iterator[Piece]:
        for batch, subsets in enumerate(wanted):
            for subset in subsets:
                self.log.append((batch, subset))
                sums = tuple(toy_loss(subset) + batch + i for i in range(2))
                yield Piece(subset, batch, sums, (1.0, 1.0))

    def close(self) -> None:
        pass


@pytest.fixture
def toy_meter() -> type[ToyMeter]:
    return ToyMeter


@pytest.fixture
def registry() -> plugins.Registry:
    """The built-in plugins, whatever else is installed where the tests run."""
    found = plugins.load()
    entries = [entry for entry in found.entries if entry.source == "prunekit"]
    return replace(found, entries=entries, failures=dict(found.failures))


@pytest.fixture(name="prunekit")
def type_command(monkeypatch: Any, capsys: Any, tmp_path: Path) -> Callable[..., Any]:
    """Type a command; get its exit status and what it printed."""
    from prunekit.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["prunekit", *map(str, words)])
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = stop.code
        out, err = capsys.readouterr()
        return status, out, err

    return run
