"""Tasks of lm-eval on local files, and evaluators of tiny models."""

import json

import pytest

NAMES = ["king", "queen", "fox", "hen", "boy", "girl", "cat", "dog"]
KINDS = {
    "multiple_choice": (
        "doc_to_text: '{{q}}'\ndoc_to_choice: '{{c}}'\ndoc_to_target: '{{y}}'\n"
        "metric_list:\n"
        "  - {metric: acc, aggregation: mean, higher_is_better: true}\n"
        "  - {metric: acc_norm, aggregation: mean, higher_is_better: true}\n"
    ),
    "loglikelihood_rolling": (
        "doc_to_text: ''\ndoc_to_target: '{{q}}'\nmetric_list:\n"
        "  - {metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}\n"
    ),
    "generate_until": (
        "doc_to_text: '{{q}}'\ndoc_to_target: '{{c[0]}}'\n"
        "generation_kwargs: {until: ['.'], max_gen_toks: 6, do_sample: false}\n"
        "metric_list:\n  - {metric: exact_match, aggregation: mean, higher_is_better: true}\n"
    ),
}


@pytest.fixture
def write_task(tmp_path):
    """Describe a task on a local file: `write_task("kings", "multiple_choice")`."""
    folder = tmp_path / "tasks"
    folder.mkdir()

    def write(name, kind="multiple_choice", more="", names=NAMES):
        rows = [
            {"q": f"The {a} said", "c": [f"hello {a}", "no", "a king"], "y": n % 3}
            for n, a in enumerate(names)
        ]
        items = folder / f"{name}.jsonl"
        items.write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / f"{name}.yaml").write_text(
            f"task: {name}\ndataset_path: json\ndataset_kwargs:\n  data_files:\n"
            f"    test: {items}\n    train: {items}\n"
            f"test_split: test\ntraining_split: train\noutput_type: {kind}\n"
            f"{KINDS[kind]}metadata: {{version: 1.0}}\n{more}"
        )
        return folder

    return write


@pytest.fixture
def evaluator():
    """An evaluator of a folder in float32: `evaluator(folder, config)`."""
    from prunekit.core.registry import load
    from prunekit.core.spec import Spec
    from prunekit.hf.checkpoint import find
    from prunekit.hf.loading import load_adapter
    from prunekit.plugins.commands.evaluate.evaluator import Evaluator

    def make(folder, config, **how):
        spec, registry = Spec(str(folder), device="cpu", dtype="float32"), load()
        return Evaluator(load_adapter(spec, registry), find(spec, registry), config, **how)

    return make
