"""A study to start from, and the searchers of the paper by one word."""

from pathlib import Path

import pytest
import yaml

from prunekit.core import ConfigError
from prunekit.plugins.commands.study.config import parse_study, read_study
from prunekit.plugins.commands.study.run import plan
from prunekit.plugins.commands.study.starting import paper_searchers, write_study

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_what_is_written_is_a_study_of_the_papers_panel(tmp_path, registry):
    write_study(tmp_path / "mine.yaml")
    config = read_study(tmp_path / "mine.yaml", registry)
    groups = plan(config, tmp_path).planned
    cells = [cell for group in groups for cell in group.cells]
    assert config.name == "mine"
    assert {cell.searcher for cell in cells} == set(paper_searchers())
    assert "prunekit study mine.yaml --dry-run" in (tmp_path / "mine.yaml").read_text()


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "mine.yaml").write_text("mine: true\n")
    with pytest.raises(ConfigError, match="exists already"):
        write_study(tmp_path / "mine.yaml")
    assert (tmp_path / "mine.yaml").read_text() == "mine: true\n"


def test_a_name_that_is_no_yaml_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="as mine.yaml"):
        write_study(tmp_path / "mine")


def test_the_word_paper_is_its_seven_searchers_with_their_options(registry):
    """They are those of examples/paper.yaml that stand for what was published."""
    given = {"models": ["demo"], "objectives": ["ppl"], "searchers": "paper", "budgets": [2]}
    found = {d.label: d.resolved for d in parse_study(given, registry, Path()).searchers}
    example = yaml.safe_load((EXAMPLES / "paper.yaml").read_text())["searchers"]
    assert len(found) == 7
    for name, options in paper_searchers().items():
        published = dict(example.get(f"{name}-published") or example.get(name) or {})
        published.pop("searcher", None)
        assert (options or {}) == published
        assert (options or {}).items() <= found[name].items()


def test_other_words_are_names_of_searchers(registry):
    given = {"models": ["demo"], "objectives": ["ppl"], "searchers": "papr", "budgets": [2]}
    with pytest.raises(ConfigError, match="no searcher is called 'papr'"):
        parse_study(given, registry, Path())
