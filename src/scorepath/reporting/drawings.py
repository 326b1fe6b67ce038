"""How figures lie inside the page: as SVG elements, so that scripts can read their points and colours know dark paper.

Many drawings share a page, so each has names of its own. Every colour has a counterpart for dark paper, by one rule:
lightness is turned over, hue and chroma stay.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from scorepath.figures.sheet import SVG, XLINK, serialized
from scorepath.figures.wording import label

LONGEST = 320
"""Characters of a takeaway."""
DARKEST, LIGHTEST = 0.24, 0.95
"""Lightness in OKLab that white and black turn into on dark paper."""
TO_CONES = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
])  # fmt: skip
TO_LAB = np.array([
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
])  # fmt: skip
"""From linear sRGB to the responses of cones, and from their cube roots to OKLab (Ottosson 2020)."""


@dataclass(frozen=True)
class Picture:
    """A figure as the page embeds it."""

    name: str
    title: str
    description: str
    svg: Markup
    rest: tuple[str, ...]
    """The series that are drawn but hidden at first."""
    table: str
    """The table that has its points."""

    @property
    def takeaway(self) -> str:
        """What of the description, which is computed from the data, is short enough to be read beside the figure."""
        kept = ""
        for sentence in re.findall(r".+?\.(?=\s+[A-Z]|$)", self.description):
            if len(kept) + len(sentence) > LONGEST:
                break
            kept += sentence
        return kept.strip()


def picture(path: Path, table: str, prefix: str, cards: Mapping[str, Mapping[str, Any]]) -> Picture | None:
    """The figure in an SVG file, its names beginning with `prefix`; None if there is no such file, or no SVG in it.

    Names of environments say on the spot what they are, by their `cards`.
    """
    if not path.is_file():
        return None
    try:
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    except ElementTree.ParseError:
        return None
    title, description, told = (root.findtext(f"{{{SVG}}}{tag}") or "" for tag in ("title", "desc", "metadata"))
    sentences = {label(name): card["sentence"] for name, card in cards.items() if card.get("sentence")}
    for element in root.iter():
        _rename(element, prefix)
        if element.tag == f"{{{SVG}}}text" and element.text in sentences:
            ElementTree.SubElement(element, f"{{{SVG}}}title").text = sentences[element.text]
    rest = tuple(json.loads(told)["rest"]) if told else ()
    return Picture(path.stem, title, description, Markup(serialized(root)), rest, table)


def _rename(element: ElementTree.Element, prefix: str) -> None:
    """Make an element's names its drawing's own, and its colours those of light and of dark paper."""
    attributes = element.attrib
    if "id" in attributes:
        attributes["id"] = prefix + attributes["id"]
    if address := attributes.pop(f"{{{XLINK}}}href", ""):
        attributes["href"] = f"#{prefix}{address[1:]}"
    for name, value in attributes.items():
        if name == "clip-path":
            attributes[name] = value.replace("url(#", f"url(#{prefix}")
        elif name == "class":
            attributes[name] = re.sub(r"\bs(?=\d)", f"{prefix}s", value)
        elif name == "aria-labelledby":
            attributes[name] = " ".join(prefix + each for each in value.split())
        elif name == "style":
            attributes[name] = in_both(value)
    if element.tag == f"{{{SVG}}}style":
        element.text = in_both(re.sub(r"\.s(?=\d+\{)", f".{prefix}s", element.text or ""))


def in_both(rules: str) -> str:
    """Style rules whose colours are followed by those for dark paper; browsers that cannot tell keep the first."""
    return re.sub(
        r"(fill|stroke): (#[0-9a-f]{6})",
        lambda found: f"{found[0]}; {found[1]}: light-dark({found[2]}, {dark(found[2])})",
        rules,
    )


@cache
def dark(colour: str) -> str:
    """The counterpart of a colour (#rrggbb) on dark paper: as far from the paper, of the same hue and chroma.

    >>> dark("#ffffff"), dark("#000000")
    ('#1f1f1f', '#eeeeee')
    """
    shares = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    lightness, *hue = TO_LAB @ np.cbrt(TO_CONES @ linear)
    turned = DARKEST + (LIGHTEST - DARKEST) * (1 - lightness**2)
    linear = np.clip(np.linalg.solve(TO_CONES, np.linalg.solve(TO_LAB, [turned, *hue]) ** 3), 0, 1)
    shares = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * share):02x}" for share in shares)
