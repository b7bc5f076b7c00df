"""Put matplotlib's SVG into a page: unique ids, the page's ink, and words for who cannot see it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from prunekit.plugins.commands.report.style import INK

NAMESPACE = re.compile(r"^\{[^}]*\}")
REFERENCE = re.compile(r"(url\()?#([\w-]+)")
NOT_DRAWN = ("metadata", "style")


def inline(svg: str, prefix: str, alt: str) -> str:
    """The `<svg>` element of a picture, for use within HTML.

    `prefix` must differ for every picture of a page. An empty `alt` marks a mere ornament.
    """
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if NAMESPACE.sub("", child.tag) in NOT_DRAWN:
                parent.remove(child)
    for element in root.iter():
        element.tag = NAMESPACE.sub("", element.tag)
        element.attrib = {
            NAMESPACE.sub("", name): _adapted(NAMESPACE.sub("", name), value, prefix)
            for name, value in element.attrib.items()
        }
    described = {"role": "img", "aria-label": alt} if alt else {"aria-hidden": "true"}
    root.attrib = {"viewBox": root.attrib["viewBox"], **described}
    return ElementTree.tostring(root, encoding="unicode")


def size(svg: str) -> tuple[float, float]:
    """Width and height in points."""
    _, _, width, height = ElementTree.fromstring(svg).attrib["viewBox"].split()
    return float(width), float(height)


def _adapted(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name == "href" or "url(#" in value:
        return REFERENCE.sub(rf"\g<1>#{prefix}\g<2>", value)
    return value.replace(INK, "currentColor")
