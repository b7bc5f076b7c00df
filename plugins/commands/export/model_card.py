"""The model card of a written checkpoint: README.md, as the Hugging Face hub shows it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.problem import words
from prunekit.core.registry import Registry
from prunekit.engine.config import SearchConfig
from prunekit.engine.escaping import markdown_code, markdown_text
from prunekit.engine.provenance import FILE as RECORD
from prunekit.engine.provenance import pinned
from prunekit.plugins.commands.evaluate.comparison import Row
from prunekit.plugins.commands.evaluate.store import rows_of
from prunekit.plugins.commands.export.commands import export_command, search_command

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

FILE = "README.md"
TAGS = ("prunekit", "depth-pruning")
BEGIN, END = "<!-- prunekit: begin -->", "<!-- prunekit: end -->"
SECTION = re.compile(f"^{BEGIN}$.*?^{END}$\n*", re.DOTALL | re.MULTILINE)
"""No text within a section makes a line of its own, so that none is taken for its end."""


def model_card(
    record: Mapping[str, Any], config: SearchConfig | None, registry: Registry, source: Path
) -> str:
    """The card of a checkpoint with this `prunekit.json`, written from the folder `source`.

    A card that lies there is kept, but for its evaluation results, which are those of another
    model. The section on pruning goes in front, in place of an earlier one.
    """
    card = _card_of(source)
    _tell_the_hub(card, record["model"] if pinned(record) else None)
    body = SECTION.sub("", card.text).strip()
    section = _section(record, config, registry)
    if body:
        section += "\n\nWhat follows was written for the model before its blocks were removed."
    card.text = "\n".join(["", BEGIN, section, END, *(["", body] if body else []), ""])
    return str(card)


def _card_of(source: Path) -> ModelCard:
    """The source's card; one whose front matter cannot be read is taken as text."""
    import yaml
    from huggingface_hub import ModelCard

    path = source / FILE
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    try:
        return ModelCard(text, ignore_metadata_errors=True)
    except (ValueError, TypeError, yaml.YAMLError):
        return ModelCard(f"---\n{{}}\n---\n{text}")


def _tell_the_hub(card: ModelCard, model: str | None) -> None:
    """Front matter; `base_model` must be a name on the hub, or the hub refuses the card."""
    data = card.data
    if model is not None:
        data["base_model"] = model
    data["eval_results"] = data["model_name"] = None
    data["library_name"] = data.get("library_name") or "transformers"
    data["pipeline_tag"] = data.get("pipeline_tag") or "text-generation"
    data["tags"] = list(dict.fromkeys([*(data.get("tags") or []), *TAGS]))


def _section(record: Mapping[str, Any], config: SearchConfig | None, registry: Registry) -> str:
    model = Path(record["model"]).name if Path(record["model"]).is_absolute() else record["model"]
    total, gone = record["parameters"], record["parameters_removed"]
    lines = [
        "## Depth pruning",
        "",
        f"This is {markdown_code(model)} without {len(record['removed'])} of its "
        f"{record['blocks']} transformer blocks: {total - gone:,} of {total:,} parameters, "
        f"{gone / total:.1%} fewer.",
        "",
        f"- Removed: blocks {words(record['removed'])}, counted from 0.",
        f"- Kept: blocks {words(record['kept'])}.",
        f"- Weights they were removed from: {markdown_code(record['weights'])}.",
    ]
    revision = pinned(record)
    if record["search"] is None or config is None:
        lines += ["- Chosen by hand."]
        command = f"{export_command(model, record['removed'])}{revision} --to pruned"
    else:
        lines += _search(record["search"])
        instead = {"model": model, "revision": None}
        command = f"{search_command(config, registry, **instead)}{revision} --save pruned"
    if remark := record.get("remark"):
        lines += ["", f"**Not for every program:** {markdown_text(remark)}."]
    if record.get("evaluation"):
        lines += _evaluation(record["evaluation"])
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    lines += ["", "To repeat:", "", "```sh", command, "```"]
    lines += ["", f"Versions: {markdown_text(versions)}."]
    return "\n".join(lines)


def _evaluation(record: Mapping[str, Any]) -> list[str]:
    """All that was evaluated of the run, the names of files without their folders."""
    rows = [
        [_what(row), _score(row, "dense"), _score(row, "pruned"), _change(row)]
        for row in rows_of(record)
    ]
    return [
        "",
        *_table(["", "dense", "pruned", "difference"], rows),
        "",
        f"Evaluated after the search; ± is the difference's standard error. `{RECORD}` says how.",
    ]


def _what(row: Row) -> str:
    protocol, equals, file = row.name.partition("=")
    name = f"{protocol}={Path(file).name}" if equals else Path(protocol).name
    counted = "tokens" if "tokens" in row.record else "items"
    return f"{name} {row.metric}, {row.record[counted]:,} {counted}"


def _score(row: Row, who: str) -> str:
    digits = 4 if row.higher_is_better else 2
    return _number(getattr(row, who), digits) if who in row.of else ""


def _change(row: Row) -> str:
    if row.difference is None:
        return ""
    digits = 4 if row.higher_is_better else 2
    error = "" if row.standard_error is None else f" ± {row.standard_error:.{digits}f}"
    return f"{row.difference:+.{digits}f}{error}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    texts = [list(map(markdown_text, row)) for row in (head, *rows)]
    texts.insert(1, ["---"] * len(head))
    return [f"| {' | '.join(row)} |" for row in texts]


def _search(result: Mapping[str, Any]) -> list[str]:
    dense, pruned, difference = result["dense"], result["pruned"], result["difference"]
    names = list(dense["readings"])
    rows = [
        *(
            [word, _number(x["loss"], 4), *(_number(x["readings"].get(n), 2) for n in names)]
            for word, x in (("dense", dense), ("pruned", pruned))
        ),
        ["difference", _signed(difference), *[""] * len(names)],
    ]
    asked = f"{result['work']['asked']:,}"
    return [
        f"- Chosen by the searcher {markdown_code(result['searcher'])} with the objective "
        f"{markdown_code(result['objective'])}, seed {markdown_text(str(result['seed']))}, "
        f"from {asked} subsets that it asked for.",
        "",
        *_table(["", f"loss ({result['unit']})", *names], rows),
        "",
        "Losses on the calibration set; ± is the difference's standard error over its samples.",
    ]


def _number(value: float | None, digits: int) -> str:
    return "not finite" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _signed(difference: Mapping[str, Any]) -> str:
    if difference["value"] is None:
        return "not finite"
    error = difference["standard_error"]
    return f"{difference['value']:+.4f}" + ("" if error is None else f" ± {error:.4f}")
