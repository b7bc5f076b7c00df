"""Tasks of lm-eval: found before anything is loaded, run on the pruned model in memory."""

import random
import re
import shutil
import sys

import numpy as np
import pytest
import torch
import yaml

import prunekit
from prunekit.core import ConfigError
from prunekit.core.problem import DENSE
from prunekit.engine.progress import Progress, Step
from prunekit.plugins.commands.evaluate.config import EvalConfig
from prunekit.plugins.commands.evaluate.tasks import check_names, demo_task, load_tasks, preflight

REMOVED = frozenset({2, 5})


@pytest.fixture
def exported(tiny_model, tmp_path):
    """A tiny model and the folder that it becomes without some blocks."""
    model = tiny_model("llama3")
    prunekit.export(str(model), remove=sorted(REMOVED), to=tmp_path / "pruned")
    return model, tmp_path / "pruned"


def harness(monkeypatch, capsys, folder, *words):
    """What lm-eval's own command line prints: by task and metric, value and standard error."""
    from lm_eval.__main__ import cli_evaluate

    for module in ("__main__", "evaluator"):  # its log would outlive the stream that it goes to
        monkeypatch.setattr(f"lm_eval.{module}.setup_logging", lambda verbosity=None: None)
    args = f"pretrained={folder},dtype=float32"
    line = ["lm_eval", "--model", "hf", "--model_args", args, "--device", "cpu", *map(str, words)]
    monkeypatch.setattr(sys, "argv", line)
    capsys.readouterr()
    cli_evaluate()
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if "±" in line]
    found, task = {}, ""
    for cells in ([cell.strip() for cell in row] for row in rows):
        task = cells[0] or task
        found[task, cells[4]] = (float(cells[6]), float(cells[8]))
    return found


def test_a_task_scores_what_the_command_line_of_the_harness_prints(
    exported, evaluator, monkeypatch, capsys, tmp_path
):
    model, pruned = exported
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "demo.yaml").write_text(yaml.safe_dump(demo_task()))
    printed = harness(
        monkeypatch, capsys, pruned, "--tasks", "demo", "--include_path", tmp_path / "own",
        "--limit", 24, "--batch_size", 8,
    )  # fmt: skip
    config = EvalConfig(tasks=("demo",), limit=24)
    score = evaluator(model, config).evaluate(REMOVED).tasks["demo"]
    assert score.metric == "acc_norm"
    value, error = printed["demo", "acc_norm"]
    assert (round(score.value, 4), round(score.standard_error, 4)) == (value, error)
    assert round(score.record["metrics"]["acc,none"], 4) == printed["demo", "acc"][0]


CHAT = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"


def test_as_a_chat_it_scores_what_the_harness_prints_too(
    exported, evaluator, monkeypatch, capsys, tmp_path
):
    copies = (shutil.copytree(folder, tmp_path / f"{folder.name}-chat") for folder in exported)
    model, pruned = copies
    for folder in (model, pruned):
        (folder / "chat_template.jinja").write_text(CHAT)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "demo.yaml").write_text(yaml.safe_dump(demo_task()))
    printed = harness(
        monkeypatch, capsys, pruned, "--tasks", "demo", "--include_path", tmp_path / "own",
        "--limit", 16, "--batch_size", 8, "--apply_chat_template",
    )  # fmt: skip
    config = EvalConfig(tasks=("demo",), limit=16, apply_chat_template=True)
    score = evaluator(model, config).evaluate(REMOVED).tasks["demo"]
    assert round(score.value, 4) == printed["demo", "acc_norm"][0]
    plain = evaluator(model, EvalConfig(tasks=("demo",), limit=16)).evaluate(REMOVED).tasks["demo"]
    assert score.record["apply_chat_template"]
    assert not plain.record["apply_chat_template"]
    assert score.record["metrics"] != plain.record["metrics"]


def test_a_tokenizer_without_a_chat_template_is_refused(exported, evaluator):
    config = EvalConfig(tasks=("demo",), limit=2, apply_chat_template=True)
    with pytest.raises(ConfigError, match="has no chat template; leave apply_chat_template out"):
        evaluator(exported[0], config)


@pytest.mark.parametrize("kind", ["loglikelihood_rolling", "generate_until"])
def test_every_kind_of_task_gives_on_the_bypassed_model_what_it_gives_on_the_exported_one(
    exported, evaluator, write_task, kind
):
    config = EvalConfig(tasks=("kings",), include_path=write_task("kings", kind))
    model, pruned = exported
    bypassed = evaluator(model, config).evaluate(REMOVED).tasks["kings"]
    real = evaluator(pruned, config).evaluate(DENSE).tasks["kings"]
    assert bypassed.value == pytest.approx(real.value, rel=1e-6)
    assert bypassed.items == real.items


@pytest.mark.parametrize("kind", ["multiple_choice", "loglikelihood_rolling", "generate_until"])
def test_the_harness_shows_no_bar_of_its_own_and_progress_is_reported(
    tiny_model, evaluator, write_task, kind, capfd
):
    reported = []

    def show(step):
        if step.total:
            reported.append((step.done, step.total))

    config = EvalConfig(tasks=("kings",), include_path=write_task("kings", kind))
    made = evaluator(tiny_model("llama3"), config, progress=Progress(show))
    capfd.readouterr()
    made.evaluate(DENSE)
    total = 24 if kind == "multiple_choice" else 8
    assert reported == [(done, total) for done in range(1, total + 1)]
    assert capfd.readouterr().err == ""


def test_without_a_cache_a_bypassed_model_generates_what_the_exported_one_does_with_it(
    exported, evaluator, write_task, monkeypatch
):
    from prunekit.plugins.commands.evaluate.harness import language_model

    texts = []
    decode = language_model().tok_decode

    def noting(self, tokens, **how):
        texts.append(decode(self, tokens, **how))
        return texts[-1]

    monkeypatch.setattr(language_model(), "tok_decode", noting)
    model, pruned = exported
    config = EvalConfig(tasks=("kings",), include_path=write_task("kings", "generate_until"))
    evaluator(model, config).evaluate(REMOVED)
    bypassed = texts.copy()
    texts.clear()
    evaluator(pruned, config).evaluate(DENSE)
    assert bypassed == texts
    assert any(text.strip() for text in texts)


def test_a_score_that_is_no_mean_over_items_has_no_error_and_is_no_accuracy(
    tiny_model, evaluator, write_task
):
    folder = write_task("kings", "loglikelihood_rolling")
    config = EvalConfig(tasks=("kings",), include_path=folder)
    score = evaluator(tiny_model("llama3"), config).evaluate(DENSE).tasks["kings"]
    assert (score.metric, score.higher_is_better) == ("word_perplexity", False)
    assert (score.items, score.standard_error) == ((), None)


def test_a_group_with_a_score_of_its_own_is_one_score_over_all_its_items(
    tiny_model, evaluator, write_task
):
    folder = write_task("kings")
    write_task("hens", names=["hen", "fox"])
    (folder / "group.yaml").write_text(
        "group: farm\ntask: [kings, hens]\naggregate_metric_list:\n"
        "  - {metric: acc, weight_by_size: true}\n"
    )
    model = tiny_model("llama3")
    found = evaluator(model, EvalConfig(tasks=("farm",), include_path=folder)).evaluate(DENSE).tasks
    apart = EvalConfig(tasks=("kings", "hens"), include_path=folder)
    leaves = evaluator(model, apart).evaluate(DENSE).tasks
    accuracies = {name: leaf.record["metrics"]["acc,none"] for name, leaf in leaves.items()}
    assert list(found) == ["farm"]
    assert len(found["farm"].items) == found["farm"].record["items"] == 10
    assert found["farm"].value == pytest.approx(
        (8 * accuracies["kings"] + 2 * accuracies["hens"]) / 10
    )


@pytest.mark.parametrize(("members", "reads"), [("[kings]", 0), ("[kings, piqa]", 1)])
def test_a_group_of_own_tasks_alone_is_found_without_reading_those_of_lm_eval(
    write_task, monkeypatch, members, reads
):
    from lm_eval import tasks

    whole, read = tasks.TaskManager, []

    def reading(include_path, include_defaults=True):
        if include_defaults:
            read.append(include_path)
        return whole(include_path=include_path, include_defaults=False)

    monkeypatch.setattr(tasks, "TaskManager", reading)
    folder = write_task("kings")
    (folder / "group.yaml").write_text(f"group: farm\ntask: {members}\n")
    check_names(EvalConfig(tasks=("kings", "farm"), include_path=folder))
    assert len(read) == reads


def test_solved_examples_are_the_same_for_every_variant(tiny_model, evaluator, write_task):
    folder = write_task("kings")
    config = EvalConfig(tasks=("kings",), include_path=folder, num_fewshot=2)
    prompts = []

    def show(step):
        if step.total is None:
            (task,) = load_tasks(config)
            built = getattr(task.leaves["kings"], "_instances", None) or []
            prompts.append([instance.args for instance in built])

    made = evaluator(tiny_model("llama3"), config, progress=Progress(show))
    first, second = made.evaluate(DENSE).tasks, made.evaluate(REMOVED).tasks
    show(Step("the end"))
    assert prompts[-1] == prompts[-2] != []
    assert prompts[-1][0][0].count("The ") == 3
    assert first["kings"].record["num_fewshot"] == second["kings"].record["num_fewshot"] == 2


def test_nobodys_source_of_chance_is_changed(tiny_model, evaluator, write_task):
    made = evaluator(
        tiny_model("llama3"),
        EvalConfig(tasks=("kings",), include_path=write_task("kings"), limit=1),
    )
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    expected = random.random(), np.random.rand(), torch.rand(()).item()
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    made.evaluate(DENSE)
    assert (random.random(), np.random.rand(), torch.rand(()).item()) == expected


def test_all_that_cannot_be_had_is_named_at_once():
    with pytest.raises(ConfigError) as error:
        preflight(EvalConfig(("c4", "gone.txt", "demo"), ("commonsense", "demo", "piqua")))
    message = str(error.value)
    for name in ("hellaswag", "winogrande", "arc_easy", "arc_challenge", "boolq"):
        assert f"{name} (ConnectionError" in message
    assert "allenai/c4 cannot be fetched" in message
    assert re.search(r"piqua is not a task of lm-eval [\d.]+. Did you mean 'piqa'", message)
    assert "demo" not in message.split("; ")[0]
    assert "\n" not in message


def test_a_folder_of_tasks_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        preflight(EvalConfig(tasks=("kings",), include_path=tmp_path / "gone"))


def test_a_task_that_runs_code_of_models_is_refused(write_task):
    folder = write_task("kings", more="unsafe_code: true\n")
    with pytest.raises(ConfigError, match="runs code that models write"):
        preflight(EvalConfig(tasks=("kings",), include_path=folder))
