"""Print a certificate in a terminal."""

from __future__ import annotations

from rich import box
from rich.table import Column, Table

from prunekit.cli.screen import err, out, styled
from prunekit.core.problem import words
from prunekit.engine.provenance import name_of
from prunekit.plugins.commands.certify.capability import Capability
from prunekit.plugins.commands.certify.certificate import Certificate

COLOURS = {"kept": "green", "hurt": "yellow", "lost": "red", "cannot be told": "dim"}


def show_certificate(certificate: Certificate, quiet: bool = False) -> None:
    """Print a line for each capability, why some have no verdict, and where the texts are."""
    out.print(title_of(certificate), style="bold", soft_wrap=True)
    out.print(_table(certificate))
    out.print(certificate.words)
    for each in certificate.capabilities:
        if each.why:
            out.print(f"{each.name} cannot be told: {each.why}")
    if certificate.remark and not quiet:
        err.print(certificate.remark, soft_wrap=True)
    if not quiet:
        out.print(f"texts side by side: {certificate.folder}/certificate.html", soft_wrap=True)


def title_of(certificate: Certificate) -> str:
    """Name both models in words."""
    if certificate.baseline:
        return f"{certificate.name} beside {name_of(certificate.baseline)}"
    then = f", {certificate.afterwards}" if certificate.afterwards else ""
    gone = f" without blocks {words(certificate.removed)}" if certificate.removed else ""
    return f"{name_of(certificate.model)}{gone}{then}"


def _table(certificate: Certificate) -> Table:
    names = ("baseline", "model") if certificate.baseline else ("dense", "pruned")
    heads = ["n", *names, "difference, 95 %"]
    columns = [Column(head, justify="right", no_wrap=True) for head in heads]
    verdict = Column("verdict", no_wrap=True)
    table = Table(
        Column("capability", overflow="fold"),
        *columns,
        verdict,
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for each in certificate.capabilities:
        scores = [f"{each.n:,}", f"{each.dense:.3f}", f"{each.pruned:.3f}", _difference(each)]
        table.add_row(each.name, *scores, styled(each.verdict, COLOURS[each.verdict]))
    return table


def _difference(each: Capability) -> str:
    """Format the interval of a difference."""
    return f"{each.difference.low:+.2f} to {each.difference.high:+.2f}"
