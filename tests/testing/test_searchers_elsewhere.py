"""Faults of searchers that show in another process only."""

import pytest

from prunekit.core.registry import load
from prunekit.testing import ContractError, check_searcher

SEARCH = """
from dataclasses import dataclass
from prunekit.core import hookimpl
{top}
@dataclass(frozen=True)
class Elsewhere:
    "Takes the cheapest blocks."
    name = "elsewhere"
    def search(self, problem):
        blocks = {blocks}
        losses = yield [frozenset({{i}}) for i in sorted(blocks)]
        price = dict(zip(sorted(blocks), losses))
        return frozenset(sorted(blocks, key={key})[:problem.budget])
@hookimpl
def prunekit_searchers(): return [Elsewhere]
"""
SOUND = {"top": "", "blocks": "problem.removable", "key": "lambda i: (price[i], i)"}


@pytest.fixture
def installed(install):
    """A searcher of another distribution, which another process can import too."""

    def write(**changed):
        install("prunekit-elsewhere", SEARCH.format(**{**SOUND, **changed}))
        return load().get("searcher", "elsewhere").cls()

    return write


def test_a_sound_searcher_passes_in_another_process(installed):
    check_searcher(installed())


@pytest.mark.parametrize(
    ("blocks", "key"),
    [
        ("problem.removable", "lambda i: (price[i], hash(str(i)))"),
        ("[int(word) for word in {str(i) for i in problem.removable}]", "price.get"),
    ],
    ids=["hash", "set of words"],
)
def test_ties_that_depend_on_the_process_are_found(installed, blocks, key):
    with pytest.raises(
        ContractError, match="chooses other blocks of equal losses in another process.*hash"
    ):
        check_searcher(installed(blocks=blocks, key=key))


@pytest.mark.parametrize(
    ("top", "message"),
    [
        ("print('I am here')", "writes to standard output.*'I am here'"),
        ("import os; os.system('echo I am here')", "writes to standard output.*'I am here'"),
        ("import scipy", "seconds to import scipy.*prunekit_elsewhere is imported.*inside the"),
    ],
)
def test_what_happens_at_import_is_found(installed, top, message):
    with pytest.raises(ContractError, match=message):
        check_searcher(installed(top=top))


def test_what_depends_on_the_process_is_found(install):
    install(
        "prunekit-hashing",
        "from dataclasses import dataclass\n"
        "from prunekit.core import hookimpl\n"
        "@dataclass(frozen=True)\n"
        "class Hashing:\n"
        "    'Takes blocks in the order of a set of words.'\n"
        "    name = 'hashing'\n"
        "    def search(self, problem):\n"
        "        words = list({str(i) for i in problem.removable})\n"
        "        chosen = frozenset(int(word) for word in words[:problem.budget])\n"
        "        yield [chosen, *(frozenset({int(word)}) for word in words)]\n"
        "        return chosen\n"
        "@hookimpl\n"
        "def prunekit_searchers(): return [Hashing]\n",
    )
    with pytest.raises(ContractError, match="other subsets in another process.*sorted order"):
        check_searcher(load().get("searcher", "hashing").cls())
