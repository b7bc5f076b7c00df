"""Write the model card of a checkpoint: README.md, as the Hugging Face hub shows it."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.cli.flags import flag_name, no_flag_name
from prunekit.core.options import options_of
from prunekit.core.problem import words
from prunekit.core.registry import load
from prunekit.engine.certified import Certified
from prunekit.engine.config import SearchConfig, Settings
from prunekit.engine.drafted import Drafted, lines
from prunekit.engine.escaping import markdown_code, markdown_text, shell_line
from prunekit.engine.healed import Healed
from prunekit.engine.provenance import FILE as RECORD
from prunekit.engine.provenance import name_of, pinned
from prunekit.engine.repaired import Repaired
from prunekit.engine.stored import restored
from prunekit.engine.training import Training
from prunekit.hf.readback import Proof
from prunekit.hf.tokens import perplexity
from prunekit.plugins.commands.evaluate.comparison import Row
from prunekit.plugins.commands.evaluate.store import rows_of

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

FILE = "README.md"
TAGS = ("prunekit", "depth-pruning")
BEGIN, END = "<!-- prunekit: begin -->", "<!-- prunekit: end -->"
SECTION = re.compile(f"^{BEGIN}$.*?^{END}$\n*", re.DOTALL | re.MULTILINE)
"""Values inside the section never fill a line of their own, so none is mistaken for its end."""

TEMPLATES = Path(__file__).parent / "templates"


def model_card(record: Mapping[str, Any], config: SearchConfig | None, source: Path) -> str:
    """Describe the checkpoint of this `prunekit.json`, made from the one in the folder `source`.

    The source's own card is kept, except for its evaluation results, which are those of another
    model. The section on pruning comes first and replaces an earlier one.
    """
    card, revision = _card_of(source), pinned(record)
    _set_metadata(card, record["model"] if revision else None)
    model = name_of(record["model"])
    searched = config if record["search"] else None
    if searched:
        command = f"{_search_command(searched, model)}{revision} --save pruned"
    else:
        line = ["prunekit", "export", "--model", model, "--remove", words(record["removed"])]
        command = f"{shell_line(line)}{revision} --to pruned"
    heal = restored(Healed, record["heal"]) if record.get("heal") else None
    draft = restored(Drafted, record["draft"]) if record.get("draft") else None
    total, gone = record["parameters"], record["parameters_removed"]
    card.text = _render(
        record=record,
        model=model,
        parameters=f"{total - gone:,} of {total:,} parameters, {gone / total:.1%} fewer",
        losses=_losses(record["search"]) if searched else None,
        evaluations=record.get("evaluation") and _evaluations(record["evaluation"]),
        repair=searched and _repair(record["search"]),
        draft=draft,
        draft_lines=draft and lines(model, ".", draft.lookahead),
        heal=heal,
        heal_command=heal and _heal_command(heal, model),
        certificate=restored(Certified, record["certificate"])
        if record.get("certificate")
        else None,
        proof=record.get("proof") and Proof(**record["proof"]).words,
        command=command,
        versions=", ".join(f"{name} {number}" for name, number in record["versions"].items()),
        body=SECTION.sub("", card.text).strip(),
    )
    return str(card)


def _repair(search: Mapping[str, Any]) -> str:
    return Repaired(**search["repair"]).words if search.get("repair") else ""


def _heal_command(heal: Healed, model: str) -> str:
    """Write the `prunekit heal` of the checkpoint that the line before it writes."""
    line = ["prunekit", "heal", "--model", "pruned", "--teacher", model]
    line += _flags((), {**heal.options, "tokens": heal.planned}, Training)
    if heal.objective != Settings.objective:
        line += ["--objective", heal.objective]
    cls = load().get("objective", heal.objective).cls
    line += _flags((heal.objective,), heal.objective_options, cls)
    return shell_line([*line, "--seed", str(heal.seed), "--to", "healed"])


def _healing(heal: Healed) -> list[list[str]]:
    """Tabulate perplexities before and after."""
    rows = [["", "perplexity", "nats per token", "above dense"]]
    for name, loss, above in (
        ("dense", heal.dense, None),
        ("pruned", heal.before, heal.above_before),
        ("healed", heal.after, heal.above),
    ):
        change = _difference(above.value, above.standard_error, 4) if above else ""
        rows.append([name, _number(perplexity(loss), 2), _number(loss, 4), change])
    return rows


def _verdicts(certificate: Certified) -> list[list[str]]:
    """Tabulate the capabilities."""
    rows = [["", "of", "dense", "pruned", "difference", ""]]
    for each in certificate.capabilities:
        interval = f"{each.low:+.2f} to {each.high:+.2f}"
        scores = [_number(each.dense, 3), _number(each.pruned, 3), interval]
        rows.append([each.name, f"{each.n:,} {each.unit}", *scores, each.verdict])
    return rows


def _render(**values: Any) -> str:
    """Fill the template; every value is escaped unless a filter did that."""
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    def escaped(value: object) -> str:
        return value if isinstance(value, Markup) else markdown_text(str(value))

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        trim_blocks=True,
        keep_trailing_newline=True,
        finalize=escaped,
    )
    environment.filters.update(
        blocks=words,
        code=lambda text: Markup(markdown_code(text)),
        healing=_healing,
        verdicts=_verdicts,
        table=lambda rows: Markup(_table(rows)),
    )
    template = environment.get_template("card.md")
    return template.render(begin=BEGIN, end=END, file=RECORD, **values)


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Format a table whose first row is the head."""
    lines = [f"| {' | '.join(map(markdown_text, row))} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def _card_of(source: Path) -> ModelCard:
    """Read the source's card; unreadable front matter is kept as text."""
    import yaml
    from huggingface_hub import ModelCard

    path = source / FILE
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    try:
        return ModelCard(text, ignore_metadata_errors=True)
    except (ValueError, TypeError, yaml.YAMLError):
        return ModelCard(f"---\n{{}}\n---\n{text}")


def _set_metadata(card: ModelCard, model: str | None) -> None:
    """Update the front matter; the hub refuses a `base_model` that is not a name on the hub."""
    data = card.data
    if model is not None:
        data["base_model"] = model
    data["eval_results"] = data["model_name"] = None
    data["library_name"] = data.get("library_name") or "transformers"
    data["pipeline_tag"] = data.get("pipeline_tag") or "text-generation"
    data["tags"] = list(dict.fromkeys([*(data.get("tags") or []), *TAGS]))


def _search_command(config: SearchConfig, model: str) -> str:
    """Write the `prunekit search` of this configuration, defaults left out, for `model`."""
    settings = dataclasses.replace(config.settings, model=model, revision=None)
    line = ["prunekit", "search", *_flags((), dataclasses.asdict(settings), Settings)]
    for name, values in config.options.items():
        line += _flags((name,), values, type(config.plugins[name]))
    return shell_line(line)


def _flags(prefix: tuple[str, ...], values: Mapping[str, Any], cls: type) -> Iterator[str]:
    for option in options_of(cls):
        value, name = values.get(option.name, option.default), (*prefix, option.name)
        if value == option.default:
            continue
        if option.kind is bool:
            yield flag_name(*name) if value else no_flag_name(*name)
        else:
            yield from (flag_name(*name), str(value))


def _losses(search: Mapping[str, Any]) -> list[list[str]]:
    names, change = list(search["dense"]["readings"]), search["difference"]
    rows = [["", f"loss ({search['unit']})", *names]]
    for which in ("dense", "pruned"):
        loss, readings = search[which]["loss"], search[which]["readings"]
        rows.append([which, _number(loss, 4), *(_number(readings.get(n), 2) for n in names)])
    difference = _difference(change["value"], change["standard_error"], 4) or "not finite"
    return [*rows, ["difference", difference, *[""] * len(names)]]


def _evaluations(record: Mapping[str, Any]) -> list[list[str]]:
    """Tabulate all evaluations of the run."""
    rows = [["", "dense", "pruned", "difference"]]
    for row in rows_of(record):
        digits = 4 if row.higher_is_better else 2
        values = {"dense": row.dense, "pruned": row.pruned}
        scores = [_number(x, digits) if who in row.of else "" for who, x in values.items()]
        change = _difference(row.difference, row.standard_error, digits)
        rows.append([_label(row), *scores, change])
    return rows


def _label(row: Row) -> str:
    unit = "tokens" if "tokens" in row.record else "items"
    return f"{name_of(row.name)} {row.metric}, {row.record[unit]:,} {unit}"


def _number(value: float | None, digits: int) -> str:
    return "not finite" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _difference(value: float | None, error: float | None, digits: int) -> str:
    if value is None:
        return ""
    return f"{value:+.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")
