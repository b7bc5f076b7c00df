"""Distributions of others, installed by pip into a clean environment."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from prunekit.core.registry import KINDS
from prunekit.plugins.commands.new_plugin.new_plugin import new_plugin

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
FOLDERS = sorted(EXAMPLES.glob("prunekit-*"))
QUICK = ["--ppl.data", "demo", "--ppl.samples", "2", "--ppl.length", "24", "-k", "2"]


@pytest.fixture(scope="module")
def with_examples(environment_in, tmp_path_factory):
    """An environment with every example installed."""
    environment = environment_in(tmp_path_factory.mktemp("examples"))
    environment.install(*FOLDERS)
    return environment


@pytest.fixture(scope="module")
def with_new_plugins(environment_in, tmp_path_factory):
    """An environment with a new plugin of every kind, `my-KIND`, as `new-plugin` writes it."""
    place = tmp_path_factory.mktemp("new")
    folders = [new_plugin(f"my-{kind}", kind, place / f"prunekit-my-{kind}") for kind in KINDS]
    environment = environment_in(place)
    environment.install(*folders)
    return environment


def names(environment):
    done = environment.run("-m", "prunekit", "list-plugins", "--json")
    found = json.loads(done.stdout)
    assert not found["failures"]
    assert not found["slow"]
    return {p["name"]: (p["kind"], p["distribution"]) for p in found["plugins"]}


def test_the_example_searcher_comes_and_goes(clean_environment):
    search = ["-m", "prunekit", "search", "--searcher", "optuna-tpe", "--objective", "ppl"]
    clean_environment.install(EXAMPLES / "prunekit-optuna")
    assert names(clean_environment)["optuna-tpe"] == ("searcher", "prunekit-optuna")
    done = clean_environment.run(*search, *QUICK, "--optuna-tpe.trials", "9", "--json")
    result = json.loads(done.stdout)
    assert (result["searcher"], result["model"]) == ("optuna-tpe", "demo:qwen3")
    assert result["work"]["asked"] == 16 + 9
    assert len(result["removed"]) == 2
    clean_environment.uninstall("prunekit-optuna")
    error = clean_environment.run(*search, status=1).stderr
    assert "no searcher is called 'optuna-tpe'. Known: " in error
    assert "If it is of another distribution, pip install that." in error
    assert len(error.strip().splitlines()) == 1


def test_the_example_objective_runs_end_to_end(with_examples):
    assert names(with_examples)["accuracy"] == ("objective", "prunekit-accuracy")
    options = ["--objective", "accuracy", "--accuracy.samples", "16", "-k", "2", "--json"]
    done = with_examples.run("-m", "prunekit", "search", *options, "--searcher", "one-shot")
    dense = json.loads(done.stdout)["dense"]
    assert dense["readings"]["accuracy (%)"] == pytest.approx(100 * (1 - dense["loss"]))
    assert dense["loss"] * 16 == pytest.approx(round(dense["loss"] * 16))


def test_every_example_passes_its_own_tests(with_examples):
    tests = [f"sources/{folder.name}/tests" for folder in FOLDERS]
    with_examples.run("-m", "pytest", "-q", *tests)


def test_a_new_plugin_passes_its_own_tests(with_new_plugins):
    tests = [f"sources/prunekit-my-{kind}/tests" for kind in KINDS]
    passed = with_new_plugins.run("-m", "pytest", "-v", *tests).stdout
    for kind in KINDS:
        assert re.search(rf"test_prunekit_my_{kind}\.py::test_\w+ PASSED", passed)


def test_new_plugins_of_every_kind_run_side_by_side(with_new_plugins, tiny_model):
    found = names(with_new_plugins)
    assert {found[f"my-{kind}"] for kind in KINDS} == {(k, f"prunekit-my-{k}") for k in KINDS}
    mistral = tiny_model("llama3", model_type="mistral")
    flags = [f"--{kind}=my-{kind}" for kind in ("searcher", "objective", "repair", "backend")]
    chosen = [*flags, "--adapter=my-model"]
    options = [word.replace("ppl", "my-objective") for word in QUICK]
    done = with_new_plugins.run(
        "-m", "prunekit", "search", "--model", mistral, *chosen, *options, "--json"
    )
    result = json.loads(done.stdout)
    assert (result["searcher"], result["objective"]) == ("my-searcher", "my-objective")
    assert len(result["removed"]) == 2
    shares = with_new_plugins.run("-m", "prunekit", "my-command", "--model", mistral).stdout
    assert len(shares.splitlines()) == result["n_blocks"]


def test_the_tutorial_is_true_from_its_first_line_to_its_last(clean_environment):
    text = (ROOT / "docs" / "plugins" / "tutorial.md").read_text(encoding="utf-8")
    place = clean_environment.folder
    for before, language, block in re.findall(r"([^\n]*)\n\n```(\w+)\n(.*?)```", text, re.DOTALL):
        if language == "sh":
            for line in block.splitlines():
                place = typed(clean_environment, shlex.split(line), place)
        else:
            (name,) = re.findall(r"`([\w.]+)`", before)[-1:]
            (place / name).write_text(block)
            assert name != "prunekit_cooling.py" or code_lines(block) < 40


def typed(environment, words, place):
    """Carry out a line of a shell; the folder in which the next one is typed."""
    if words[0] == "mkdir":
        (place / words[1]).mkdir()
    elif words[0] == "cd":
        environment.folder = place / words[1]
    elif words[0] == "pip":
        assert words[1:] == ["install", "."]
        environment.install(place)
        shutil.rmtree(place / "sources")
    else:
        done = environment.run("-m", *words)
        assert "cooling" in done.stdout or "1 passed" in done.stdout
    return environment.folder


def code_lines(source):
    return len([line for line in source.splitlines() if line.strip()])


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """A copy of the files that git tracks, and their names."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no clone")
    names = [name for name in listed.stdout.splitlines() if not name.startswith(".")]
    folder = tmp_path_factory.mktemp("source")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return folder, names


def built(folder, kind):
    """Let setuptools build a distribution, as pip does."""
    build = f"from setuptools.build_meta import build_{kind} as build; build('out')"
    subprocess.run([sys.executable, "-c", build], cwd=folder, check=True, capture_output=True)
    (archive,) = (folder / "out").glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return archive


def test_the_source_distribution_holds_what_is_tracked(tracked):
    folder, names = tracked
    with tarfile.open(built(folder, "sdist")) as source:
        held = {name.partition("/")[2] for name in source.getnames()}
    assert set(names) <= held


def test_the_wheel_holds_the_packages_and_what_they_read(tracked):
    """Nothing of tests or docs, and no file less than a clone has in its packages."""
    folder, names = tracked
    with zipfile.ZipFile(built(folder, "wheel")) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    packages = ("cli", "core", "engine", "hf", "plugins", "testing")
    ours = {name for name in names if name.partition("/")[0] in packages}
    moved = {f"prunekit/{name}".replace("prunekit/core/prunekit/", "prunekit/") for name in ours}
    assert held == moved


def test_the_wheel_says_what_it_needs(tracked):
    """The first command needs no extra, and no dependency is for tests alone."""
    folder, _ = tracked
    archive = next((folder / "out").glob("*.whl"), None) or built(folder, "wheel")
    with zipfile.ZipFile(archive) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("METADATA"))
        metadata = Parser().parsestr(wheel.read(name).decode())
    needed = {re.match(r"[\w.-]+", x)[0] for x in metadata.get_all("Requires-Dist") if ";" not in x}
    assert {"torch", "transformers", "pluggy", "typer", "rich", "datasets", "lm_eval"} <= {
        x.replace("-", "_") if x.startswith("lm") else x for x in needed
    }
    assert not needed & {"pytest", "ruff", "mypy", "ray", "peft", "gguf", "optuna", "sphinx"}
    assert set(metadata.get_all("Provides-Extra")) >= {"gguf", "heal", "ray", "test", "docs", "dev"}
    assert metadata["Requires-Python"] == ">=3.11"
