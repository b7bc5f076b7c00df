"""The commands as a user types them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

QUICK = ["--ppl.data", "demo", "--ppl.samples", "2", "--ppl.length", "24"]


def test_list_plugins_shows_every_kind(prunekit):
    status, out, err = prunekit("list-plugins")
    assert (status, err) == (0, "")
    assert all(name in out for name in ("genetic", "ppl", "llama31", "local", "prunekit 0.2.0"))
    assert max(map(len, out.splitlines())) <= 80


def test_list_plugins_shows_the_options_of_one(prunekit):
    _, out, _ = prunekit("list-plugins", "ppl")
    assert "--ppl.add-bos" in out
    assert "64 sequences of 2,048 tokens of" in " ".join(out.split())
    assert "…" not in out
    assert prunekit("search", "--dry-run", "--ppl.add-bos", "every")[0] == 0


def test_broken_and_equal_plugins_are_one_line_each(prunekit, install):
    twin = (
        "from prunekit.core import hookimpl\nclass G:\n    'Twin.'\n    name = 'genetic'\n"
        "    def search(self, problem): yield []\n@hookimpl\ndef {}(): return [G]\n"
    )
    install("prunekit-broken", "import not_there")
    install("prunekit-typo", twin.format("prunekit_searcher"))
    install("prunekit-twin", twin.format("prunekit_searchers"))
    status, out, err = prunekit("list-plugins")
    assert status == 0
    lines = err.splitlines()
    assert len(lines) == 3
    assert any("prunekit-broken 1.0" in line and "not_there" in line for line in lines)
    assert any("unknown hook 'prunekit_searcher'" in line for line in lines)
    assert any("write genetic or prunekit-twin:genetic" in line for line in lines)
    assert "one-shot" in out


def test_listing_does_not_import_torch():
    code = (
        "import sys, prunekit.cli.main as m; m.make_app(m.load_commands()); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_a_search_prints_a_picture_and_what_to_do_next(prunekit, tiny_model):
    status, out, _ = prunekit(
        "search", "--model", tiny_model(), "-k", 2, "--searcher", "one-shot", *QUICK
    )
    assert status == 0
    picture = next(line for line in out.splitlines() if "█" in line)
    assert (picture.count("█") - 1, picture.count("·") - 1) == (6, 2)
    assert all(word in out for word in ("dense", "pruned", "±", "perplexity", "block forwards"))
    assert "removed 2 of 8 blocks: 18.6K of 205.3K parameters (9.0%), 74.2 KB in float32\n" in out
    commands = [line.split("prunekit ")[1].split() for line in out.splitlines()[-4:]]
    assert [words[0] for words in commands] == ["export", "evaluate", "evaluate", "latency"]
    status, out, _ = prunekit(*commands[0])
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "saved pruned"
    assert lines[1].startswith("read back with transformers ")
    assert [line[13:] for line in lines[-3:]] == [
        "AutoModelForCausalLM.from_pretrained('pruned')",
        "vllm serve pruned",
        "python convert_hf_to_gguf.py pruned",
    ]
    assert prunekit(*commands[3], "--prompt-length", 8, "--new-tokens", 2, "--repeats", 1)[0] == 0


def test_quiet_leaves_the_result_alone(prunekit, tiny_model):
    words = ["search", "--model", tiny_model(), "-k", 2, "--searcher", "one-shot", *QUICK]
    shown = prunekit(*words)[1]
    status, out, err = prunekit(*words, "-q", "--save", "pruned")
    assert (status, err) == (0, "")
    advice = shown.splitlines()[-4:]
    assert out.splitlines() == [line for line in shown.splitlines() if line not in advice]


def test_what_cannot_be_saved_at_the_end_can_be_written_elsewhere(
    prunekit, tiny_model, monkeypatch
):
    from prunekit.plugins.commands.export import export

    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "write_weights", full)
    status, out, err = prunekit("search", "--model", tiny_model(), *QUICK, "--save", "pruned")
    assert status == 1
    assert "No space left on device; nothing was left there. What was found is kept" in err
    monkeypatch.undo()
    (line,) = (line for line in out.splitlines() if line.startswith("write it"))
    assert line.split("prunekit ")[1].startswith("export --run greedy-ppl-k2-")


def test_json_is_for_scripts(prunekit, tiny_model):
    status, out, _ = prunekit("search", "--model", tiny_model(), "-k", 2, "--json", *QUICK)
    result = json.loads(out)
    assert (status, len(result["removed"]), result["schema"]) == (0, 2, 1)


def test_without_a_model_the_demo_is_taken_and_said(prunekit):
    status, out, err = prunekit("search", "--dry-run")
    assert status == 0
    assert "taking demo" in err
    assert "removes 4 of 16 blocks: 406.5K of 1.8M parameters (22.3%), 812.9 KB in bfloat16" in out
    assert "takes about" in out


def test_a_plugin_of_a_failure_with_brackets_is_shown_as_it_is(prunekit, install):
    install("prunekit-broken", "raise ImportError('cannot load [/usr/lib/foo.so]')")
    status, _, err = prunekit("list-plugins")
    assert status == 0
    assert "cannot load [/usr/lib/foo.so]" in err


def test_a_signal_while_the_model_loads_ends_in_one_line(prunekit, monkeypatch):
    from prunekit.plugins.backends.local import Local

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(Local, "open", interrupted)
    status, _, err = prunekit("search", "-q")
    assert status == 130
    assert err.startswith("stopped before anything new was measured")
    assert len(err.strip().splitlines()) == 1


def test_help_shows_defaults(prunekit):
    _, out, _ = prunekit("search", "--help")
    assert "(text; greedy)" in out
    assert "(int; 16; 2..)" in prunekit("search", "--searcher", "genetic", "-h")[1]


def test_help_shows_the_flags_of_chosen_plugins_and_says_how_to_see_others(prunekit):
    _, out, _ = prunekit("search", "--help")
    assert "--ppl.samples" in out
    assert "--genetic.population" not in out
    assert "--objective NAME or --searcher NAME with --help" in " ".join(out.split())
    _, out, _ = prunekit("search", "--objective=margin", "--searcher", "genetic", "--help")
    assert "--ppl.samples" not in out
    assert "--genetic.population" in out
    assert "--margin.samples" in out


def test_the_help_of_a_command_ends_with_examples_that_are_commands(prunekit, registry):
    from prunekit.core.registry import load_commands

    for entry in load_commands().of("command"):
        _, out, _ = prunekit(entry.name, "--help")
        for example in entry.cls.examples:
            assert example in " ".join(out.split())
            flags = [word for word in example.split() if word.startswith("--") and "." not in word]
            assert all(f"{flag} " in out for flag in flags), example


def test_prunekit_alone_says_where_to_begin(prunekit):
    _, out, err = prunekit()
    text = " ".join((out + err).split())
    assert "To begin" in text
    places = [text.index(f" {name} ") for name in ("search", "export", "evaluate", "study")]
    assert places == sorted(places)


def test_help_has_room_for_every_flag(prunekit, registry):
    from prunekit.cli.flags import flag_name, no_flag_name
    from prunekit.core.options import options_of

    for entry in registry.entries:
        if entry.kind in ("model", "command"):
            continue
        command = "track" if entry.kind == "tracker" else "search"
        _, out, _ = prunekit(command, f"--{entry.kind}", entry.name, "--help")
        assert "…" not in out
        for option in options_of(entry.cls):
            assert f"{flag_name(entry.name, option.name)} " in out
            if option.default is True:
                assert no_flag_name(entry.name, option.name) in out


def test_a_run_can_be_repeated_from_its_own_configuration(prunekit, tiny_model):
    _, out, _ = prunekit("search", "--model", tiny_model(), "-k", 2, "--json", *QUICK)
    first = json.loads(out)
    _, out, _ = prunekit("search", "--config", f"{first['run']}/config.yaml", "--json")
    again = json.loads(out)
    assert again == first


def test_a_model_that_is_named_is_not_remarked_upon(prunekit):
    assert "taking demo" not in prunekit("search", "--dry-run", "--model", "demo")[2]
    assert "taking demo" in prunekit("export", "--remove", "2", "--to", "pruned")[2]


def test_a_dry_run_can_be_json(prunekit):
    _, out, _ = prunekit("search", "-q", "--dry-run", "--json", "--searcher", "one-shot")
    assert json.loads(out)["cost"]["asked"] == 16


def test_a_flag_for_another_plugin_leaves_the_files_options_behind(prunekit, tmp_path):
    (tmp_path / "a.yaml").write_text("searcher: genetic\ngenetic:\n  population: 8\n")
    status, out, _ = prunekit(
        "search", "-q", "--config", "a.yaml", "--searcher", "one-shot", "--dry-run"
    )
    assert status == 0
    assert "asks for 16 subsets" in out


def test_a_place_that_cannot_be_written_is_refused_before_the_search(prunekit, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = prunekit("search", "-q", "--save", "file/pruned")
    assert status == 1
    assert "cannot be written" in err
    assert not (tmp_path / "prunekit-runs").exists()


def test_version(prunekit):
    assert prunekit("--version") == (0, "prunekit 0.2.0\n", "")


COMMAND = """
import sys
from prunekit.cli.main import main
sys.argv[1:] = ['--version']
try: main()
except SystemExit: import torch
"""


@pytest.mark.parametrize("command", [COMMAND, "import prunekit; prunekit.search; import torch"])
@pytest.mark.parametrize(("own", "wanted"), [(None, 10_000), ("77", 77)])
def test_threads_that_wait_soon_leave_the_processor_to_others(command, own, wanted):
    """As torch's own threads see it: libgomp says what it was told when torch loads it."""
    ours = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    env = {k: v for k, v in os.environ.items() if k not in ours}
    env |= {"OMP_DISPLAY_ENV": "VERBOSE", **({"GOMP_SPINCOUNT": own} if own else {})}
    done = subprocess.run([sys.executable, "-c", command], env=env, capture_output=True, text=True)
    assert re.search(f"GOMP_SPINCOUNT ?= ?'{wanted}'", done.stderr)


def test_flags_win_over_a_file(prunekit, tiny_model, tmp_path):
    (tmp_path / "a.yaml").write_text(
        f"model: {tiny_model()}\nsearcher: one-shot\nbudget: 3\nseed: 4\n"
    )
    _, out, _ = prunekit("search", "--config", "a.yaml", "--budget", 2, "--json", *QUICK)
    result = json.loads(out)
    assert (result["budget"], result["searcher"], result["seed"]) == (2, "one-shot", 4)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--searcher", "gentic"], 1, "no searcher is called 'gentic'. Did you mean 'genetic'?"),
        (["--objective", "pl"], 1, "no objective is called 'pl'. Did you mean 'ppl'?"),
        (["--genetic.populaton", "3"], 2, "No such option"),
        (["--gentic.population=3"], 1, "no plugin with options is called 'gentic'. Did you mean"),
        (["--not-installed.trials", "3"], 1, "If it is of another distribution, pip install that."),
        (
            ["--genetic.population", "3"],
            1,
            "options of 'genetic' were given, but this search runs greedy",
        ),
        (
            ["--searcher", "genetic", "--genetic.population", "x"],
            1,
            "genetic.population: expected int, got 'x'",
        ),
        (["--budget", "0"], 1, "1 to 15 can be removed"),
        (["--budget", "16"], 1, "1 to 15 can be removed"),
        (["--budget", "14", "--protect-first", "3"], 1, "with 3 protected, 1 to 13 can be removed"),
        (["--dtype", "int8"], 1, "dtype: expected auto|float32|bfloat16|float16, got 'int8'"),
        (["--device", "cuda"], 1, "--device cuda: not available"),
        (["--config", "nowhere.yaml"], 1, "cannot read nowhere.yaml"),
        (["--model", ""], 1, "--model '': expected a folder, OWNER/NAME, or demo"),
        (["--model", "nowhere/at/all"], 1, "no such folder"),
        (["--model", "./nowhere"], 1, "no such folder"),
        (["--device", "cuda", "--dry-run"], 1, "--device cuda: not available"),
        (["--device", "cpu:x"], 1, "--device cpu:x: not available; this machine has: cpu"),
        (["--adapter", "lama"], 1, "no model is called 'lama'"),
        (["--ppl.data", "nowhere.txt"], 1, "no such file"),
        (["--ppl.length", "5000"], 1, "32 sequences of 5,000 tokens"),
    ],
)
def test_a_mistake_costs_one_line(prunekit, words, status, message):
    found, out, err = prunekit("search", "-q", *words)
    assert found == status
    assert message in err
    assert out == ""
    assert "Traceback" not in err
    if status == 1:
        assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "searcher: genetic\ngenetic:\n  populaton: 3\n",
            "a.yaml:3: genetic.populaton: no such option",
        ),
        ("seacher: genetic\n", "a.yaml:1: seacher: no such key. Did you mean 'searcher'?"),
        ("model: demo\nsearcher: gentic\n", "a.yaml:2: no searcher is called 'gentic'"),
        ("budget: 3\nmodel: 5\n", "a.yaml:2: model: expected text, got 5"),
        (
            "model: demo\nbudget: many\n",
            "a.yaml:2: budget: expected a number of blocks",
        ),
        ("genetic: 3\nsearcher: genetic\n", "a.yaml:1: genetic: expected options"),
        ("a: [\n", "a.yaml:2: "),
    ],
)
def test_a_mistake_in_a_file_has_its_line(prunekit, tmp_path, content, message):
    (tmp_path / "a.yaml").write_text(content)
    status, _, err = prunekit("search", "-q", "--config", "a.yaml")
    assert status == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--remove", "9,x"], "expected block numbers, counted from 0, as 9,12"),
        (["--remove", "9,9"], "named twice: 9"),
        (["--remove", "16"], "no such block: 16"),
        (["--run", "nothing"], "no such run"),
        ([], "either a run, as --run NAME, or the blocks"),
    ],
)
def test_a_mistake_in_an_export_costs_one_line_and_writes_nothing(
    prunekit, tmp_path, words, message
):
    status, _, err = prunekit("export", "--to", "pruned", *words)
    assert status == 1
    assert message in err
    assert not (tmp_path / "pruned").exists()


@pytest.mark.parametrize(
    ("family", "message"), [("gemma2", "logits differ by"), ("gpt2", "AttributeError")]
)
def test_another_familys_adapter_is_refused(prunekit, tiny_model, family, message):
    status, _, err = prunekit(
        "search", "-q", "--model", tiny_model(family), "--adapter", "llama3", *QUICK
    )
    assert status == 1
    model = tiny_model(family)
    assert f"the adapter 'llama3' cannot run {model}, a model of type {family!r}" in err
    assert message in err
    assert "drop --adapter" in err
    assert len(err.strip().splitlines()) == 1


def test_the_nearest_run_is_offered(prunekit, tiny_model):
    _, out, _ = prunekit("search", "--model", tiny_model(), "-k", 2, "--json", *QUICK)
    name = Path(json.loads(out)["run"]).name
    status, _, err = prunekit("evaluate", "--run", name[:-2])
    assert status == 1
    assert f"{name[:-2]}: no such run; did you mean {name}?" in " ".join(err.split())
    _, _, err = prunekit("evaluate", "--run", "else")
    assert "expected the name of a folder in prunekit-runs/runs" in " ".join(err.split())


@pytest.mark.parametrize(
    ("typed", "word", "offered"),
    [("prunekit ev", 1, "evaluate"), ("prunekit search --sear", 2, "--searcher")],
)
def test_a_shell_can_complete_commands_and_flags(prunekit, monkeypatch, typed, word, offered):
    monkeypatch.setenv("_PRUNEKIT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(word))
    assert prunekit()[1].split() == [offered]
