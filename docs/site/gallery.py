"""Make the pages of the gallery with the demo model, into docs/site/extra/gallery.

    python docs/site/gallery.py

It takes a minute; `sphinx-build` copies what is there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the model is tiny, and tests may run beside

import prunekit

GALLERY = Path(__file__).parent / "extra" / "gallery"
STUDY = {
    "name": "gallery",
    "models": ["demo:qwen3"],
    "objectives": {"ppl": {"samples": 4, "length": 32}, "margin": {"samples": 4}},
    "searchers": ["one-shot", "greedy", "block-influence"],
    "budgets": [2, 3],
    "draws": [0],
    "evaluate": {"ppl": ["demo"], "tasks": ["demo"], "ppl_samples": 4, "limit": 16},
}


def main() -> None:
    """Write the pages."""
    shutil.rmtree(GALLERY, ignore_errors=True)
    GALLERY.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as workdir:
        prunekit.study(STUDY, workdir=workdir, progress=True)
        report = prunekit.report("gallery", workdir=workdir)
        shutil.copy(report.page, GALLERY / "report.html")
        blocks = {"remove": [2, 5, 7, 10], "new_tokens": 24, "samples": 1, "exercises": 12}
        certificate = prunekit.certify("demo", **blocks, workdir=workdir, progress=True)
        shutil.copy(Path(certificate.folder) / "certificate.html", GALLERY)


if __name__ == "__main__":
    main()
