"""A model's code runs when the command says so, never because a file does."""

import json
import shutil

import pytest
import yaml

import prunekit
from prunekit.core.errors import ConfigError, PrunekitError

CODE = """
from pathlib import Path

from transformers import LlamaConfig, LlamaForCausalLM

Path({marker!r}).touch()


class ProbeConfig(LlamaConfig):
    model_type = "probe"


class ProbeForCausalLM(LlamaForCausalLM):
    config_class = ProbeConfig
"""


class Probe:
    """A model whose code leaves a mark when it runs."""

    def __init__(self, folder, marker):
        self.folder, self.marker = folder, marker
        told = json.loads((folder / "config.json").read_text())
        classes = {"AutoConfig": "ProbeConfig", "AutoModelForCausalLM": "ProbeForCausalLM"}
        auto_map = {auto: f"probe.{name}" for auto, name in classes.items()}
        self.say(**{**told, "model_type": "probe", "auto_map": auto_map})
        self.write(CODE.format(marker=str(marker)))

    def say(self, **config):
        (self.folder / "config.json").write_text(json.dumps(config))

    def write(self, code):
        (self.folder / "probe.py").write_text(code)

    @property
    def ran(self):
        """Whether it did since this was last asked."""
        ran = self.marker.exists()
        self.marker.unlink(missing_ok=True)
        return ran


@pytest.fixture
def probe(tiny_model, tmp_path, monkeypatch):
    import transformers.dynamic_module_utils as modules

    monkeypatch.setattr(modules, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(tmp_path / "modules")
    folder = tmp_path / f"probe-{tmp_path.name.replace('_', '-')}"
    shutil.copytree(tiny_model(), folder)
    return Probe(folder, tmp_path / "marker")


@pytest.fixture
def found(probe, quick):
    """The run of a search whose command trusted the model."""
    run = prunekit.search(
        **{**quick, "model": str(probe.folder), "searcher": "one-shot"}, trust_remote_code=True
    ).run
    assert probe.ran
    return run


def ways_to_use(run, tmp_path):
    """The commands that follow a run."""
    return {
        "export": lambda **more: prunekit.export(run=run, to=tmp_path / "out", **more),
        "recipe": lambda **more: prunekit.export(
            run=run, to=tmp_path / "out", format="llama.cpp", **more
        ),
        "evaluate": lambda **more: prunekit.evaluate(
            run=run, ppl="demo", workdir=tmp_path / "work", **more
        ),
        "latency": lambda **more: prunekit.latency(
            run=run, prompt_length=8, new_tokens=2, repeats=2, **more
        ),
    }


@pytest.mark.parametrize("way", ["export", "recipe", "evaluate", "latency"])
def test_a_run_does_not_hand_on_the_trust_of_its_search(found, probe, tmp_path, way):
    use = ways_to_use(found, tmp_path)[way]
    with pytest.raises(ConfigError, match="searched with trust_remote_code: no file can say so"):
        use()
    assert not probe.ran
    assert not (tmp_path / "out").exists()
    use(trust_remote_code=True)


@pytest.mark.parametrize("way", ["export", "recipe", "evaluate", "latency"])
def test_a_run_of_a_plain_model_cannot_be_made_to_trust(
    quick, tiny_model, probe, tmp_path, way, monkeypatch
):
    """What was searched has no code; then somebody changes the run's files and the model's."""
    run = tmp_path / "work" / "runs" / "changed"
    shutil.copytree(prunekit.search(**{**quick, "searcher": "one-shot"}).run, run)
    told = yaml.safe_load((run / "config.yaml").read_text())
    for trust in (True, False):
        more = {"model": str(probe.folder), "trust_remote_code": trust}
        (run / "config.yaml").write_text(yaml.safe_dump({**told, **more}))
        with pytest.raises(ConfigError, match="no file can say so|its weights have changed"):
            ways_to_use(run, tmp_path)[way]()
        assert not probe.ran


@pytest.mark.parametrize("way", ["export", "recipe", "evaluate", "latency"])
def test_code_that_changed_after_the_search_does_not_run_even_where_it_is_trusted(
    found, probe, tmp_path, way
):
    probe.write(CODE.format(marker=str(probe.marker)) + "# other code\n")
    with pytest.raises(ConfigError, match="no longer the model that was searched"):
        ways_to_use(found, tmp_path)[way](trust_remote_code=True)
    assert not probe.ran


def test_the_command_line_takes_trust_beside_a_run(found, probe, prunekit, tmp_path):
    words = ("export", "--run", found, "--to", tmp_path / "out", "--format", "llama.cpp")
    status, _, err = prunekit(*words)
    assert status == 1
    assert "add --trust-remote-code to the command" in err
    assert not probe.ran
    assert prunekit(*words, "--trust-remote-code")[0] == 0


def test_a_configuration_file_cannot_trust(found, probe, prunekit):
    """The run's own is such a file: the way to go on with a search that was stopped."""
    words = ("search", "--config", f"{found}/config.yaml", "--workdir", f"{found}/../..")
    status, _, err = prunekit(*words)
    assert status == 1
    assert "config.yaml: trust_remote_code: no file can say so" in err
    assert not probe.ran
    status, _, _ = prunekit(*words, "--trust-remote-code")
    assert status == 0
    assert prunekit("search", "--config", f"{found}/config.yaml", "--no-trust-remote-code")[0] == 1


@pytest.fixture
def study_file(probe, tmp_path):
    """A study of the probe whose file says more."""

    def write(shared=None, of_model=None):
        path = tmp_path / "study.yaml"
        told = {
            **(shared or {}),
            "models": {"probe": {"model": str(probe.folder), **(of_model or {})}},
            "objectives": {"ppl": {"data": "demo", "samples": 2, "length": 24}},
            "searchers": ["one-shot"],
            "budgets": 2,
        }
        path.write_text(yaml.safe_dump(told, sort_keys=False))
        return path

    return write


TRUSTING = {"trust_remote_code": True}


@pytest.mark.parametrize("said", [{"shared": TRUSTING}, {"of_model": TRUSTING}, {}])
@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_a_study_cannot_trust_but_who_starts_it_can(study_file, probe, prunekit, said, dry):
    file = study_file(**said)
    status, out, err = prunekit("study", file, *dry)
    assert status == 1
    assert "add --trust-remote-code" in out + err
    assert not probe.ran
    assert prunekit("study", file, *dry, "--trust-remote-code")[0] == 0
    assert probe.ran


def test_the_line_of_a_study_that_trusts_is_named(study_file, tmp_path):
    file, work = study_file(shared=TRUSTING), tmp_path / "work"
    with pytest.raises(ConfigError, match=r"study.yaml:1: trust_remote_code: no file can say so"):
        prunekit.study(file, workdir=work)
    assert prunekit.study(file, workdir=work, trust_remote_code=True).results


def test_a_checkpoint_does_not_trust_what_its_record_names(found, probe, tmp_path):
    """`prunekit.json` says which model it was made of: that may be anybody's."""
    to = prunekit.export(run=found, to=tmp_path / "out", trust_remote_code=True)
    for path in probe.folder.glob("*.py"):
        shutil.copy(path, to)
    other = CODE.format(marker=str(tmp_path / "other")) + "# another model's\n"
    probe.write(other)
    result = prunekit.evaluate(str(to), ppl="demo", workdir=tmp_path / "w", trust_remote_code=True)
    assert "without its dense model: to trust its code as well" in result.remark
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("module", ["other/repository--probe.ProbeConfig", "/tmp/probe.Config"])
def test_code_from_outside_the_folder_is_refused_though_the_model_is_trusted(probe, quick, module):
    told = json.loads((probe.folder / "config.json").read_text())
    probe.say(**{**told, "auto_map": {**told["auto_map"], "AutoConfig": module}})
    with pytest.raises(PrunekitError, match="`auto_map` names .* code that is not in this folder"):
        prunekit.search(**{**quick, "model": str(probe.folder)}, trust_remote_code=True)


def test_a_tokenizer_with_code_is_not_run_either(tiny_model, probe, quick):
    shutil.copy(tiny_model() / "config.json", probe.folder)
    told = json.loads((probe.folder / "tokenizer_config.json").read_text())
    more = {"tokenizer_class": "Probe", "auto_map": {"AutoTokenizer": [None, "probe.Probe"]}}
    (probe.folder / "tokenizer_config.json").write_text(json.dumps({**told, **more}))
    with pytest.raises(PrunekitError, match="add --trust-remote-code"):
        prunekit.search(**{**quick, "model": str(probe.folder)})
    assert not probe.ran
