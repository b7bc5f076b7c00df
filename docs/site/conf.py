"""Sphinx: the site of docs/, made by `sphinx-build -W -c docs/site docs site`.

The pages are those that GitHub shows. What they lack for a site is added here: the order of the
pages, and other words for files of the repository that are no pages.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

project = "prunekit"
release = metadata.version(project)
copyright = "the prunekit authors, Apache-2.0"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_copybutton"]
root_doc = "README"
html_extra_path = ["extra"]
html_theme = "furo"
html_title = f"prunekit {release}"
html_show_sourcelink = False
html_copy_source = False

myst_heading_anchors = 4
nb_execution_mode = "off"
"""Notebooks hold their outputs, and a test runs them."""

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
suppress_warnings = ["misc.highlighting_failure"]
"""A block of another kind, as that of the arrows between packages, is shown as text."""

ORDER = {
    "Begin": ["from-model-to-smaller", "gguf", "how-many-blocks", "notebooks/first-search"],
    "Choose": ["searchers", "objectives", "choosing", "racing", "search-quality"],
    "Win quality back": ["repair", "after-pruning", "draft"],
    "Check": ["verdict", "evaluation", "certify", "troubleshooting/README"],
    "Compare": [
        "notebooks/compare-methods",
        "studies",
        "report",
        "tracking",
        "real-study",
        "demo-study",
    ],
    "Reference": [
        "site/cli",
        "python",
        "site/api",
        "families",
        "backends",
        "performance",
        "glossary",
    ],
    "Extend": ["plugins/README", "architecture"],
    "More": ["site/gallery", "demo-models", "troubleshooting/*", "plugins/*", "site/*"],
}
OUTSIDE = re.compile(
    r"\[([^\]]+)\]\((?:\.\./)+((?:examples|README|CONTRIBUTING|benchmarks)[^)#]*)(?:#[^)]*)?\)"
)


def prepare(app, name, source):
    """Name files outside of docs/ in place of linking to them, and list all pages on the first."""
    source[0] = OUTSIDE.sub(r"\1 (`\2` in the repository)", source[0])
    if name == "site/cli":
        sys.path.insert(0, str(Path(__file__).parent))
        from command_line import reference

        source[0] = source[0].replace(" This page is filled in when the site is built.", "")
        source[0] += reference()
    if name == root_doc:
        source[0] += "".join(_tree(heading, pages) for heading, pages in ORDER.items())


def _tree(heading, pages):
    head = f"\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {heading}\n\n"
    return head + "\n".join(pages) + "\n```\n"


def setup(app):
    """Connect what prepares the pages."""
    app.connect("source-read", prepare)
