"""Each family is searched and exported faithfully, or refused with its reason: no third outcome.

docs/families.md says which of them it is. benchmarks/families_table.py writes its table, and holds
it to what happens; here that is done for the families that tests/families.yaml has settings of.
"""

import re
from pathlib import Path

import families_table
import pytest
from families.build import model_types, settings
from families.outcome import YES, Outcome, outcome

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "families.md").read_text(encoding="utf-8")
README = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
ROW = re.compile(r"^\| `([^`]*)` \| ([0-9, ]*) \| (.+?) \| (.+) \|$", re.MULTILINE)
TABLE = {
    name: Outcome(tuple(map(int, removed.split(","))) if removed.strip() else (), search, export)
    for name, removed, search, export in ROW.findall(PAGE)
}


def test_the_page_and_the_readme_count_the_rows():
    told = families_table.counts(TABLE)
    assert told in PAGE
    n, searched, exported = re.findall(r"\d+", told)
    assert f"of {n} models tried, {searched} can be searched and {exported} exp" in README


def test_every_model_type_that_writes_text_has_a_row_or_could_not_be_built():
    (said,) = re.findall(r"^No tiny model of these types .*$", PAGE, re.MULTILINE)
    not_built = set(re.findall(r"`([^`]+)`", said))
    assert set(model_types()) <= {*TABLE, *not_built}
    assert len(TABLE) >= 200
    assert not not_built & set(TABLE)


def test_there_is_no_third_outcome():
    refusals = ("no checkpoint can be written: ", "of the removals tried, only ")
    for row in TABLE.values():
        if row.search != YES:
            assert row == Outcome((), row.search, "no")
        else:
            assert row.removed or row.checkpoint.startswith(refusals)


@pytest.mark.parametrize("name", settings()["families"])
def test_a_family_is_what_the_table_says(name, family_model, tmp_path):
    folder, removed = family_model(name)
    assert outcome(folder, removed, tmp_path / "work") == TABLE[name]
