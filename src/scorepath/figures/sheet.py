"""A figure that knows what it shows: every drawn point is also kept as words, and both go into one SVG.

What a reader is told at a point comes from the array that draws it. The words lie in the SVG's `metadata`, as JSON, so
that a page can show them and a file that was saved alone still has them:

    {"panels": [[name, left, top, right, bottom], ...],
     "rest":   [name, ...],
     "series": [{"panel": 0, "name": "pathwise", "rest": 2, "points": [[x, y, "σ = 0.1", "3.4 [3.1, 3.7]"], ...]}, ...]}

in points of the drawing, from its top left corner. Series of the `rest` are drawn but hidden: elements of the classes
`rest` and `rest-2`.
"""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from scorepath.store.files import atomic_write

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
REFERENCE = re.compile(r"(url\(#|^#)([^)]+)")
"""To an element, by its name."""
BEYOND = 7.0
"""So many points beside its axes a mark may still be seen: those that stand at an edge."""


@dataclass(frozen=True)
class Reading:
    """Points of a series, as they are drawn and in words."""

    axes: Axes
    series: str
    x: np.ndarray
    y: np.ndarray
    where: list[str]
    """What each point belongs to: a noise level, a place."""
    value: list[str]
    rest: int | None


class Sheet(Figure):
    """A figure of so many inches that is written as SVG."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height))
        FigureCanvasSVG(self)
        self.readings: list[Reading] = []
        self.rest: list[str] = []
        """The series that are hidden at first, in words."""

    def save(self, output: Path, title: str, description: str) -> None:
        """Write it with a title and a description for those who cannot see it; equal input gives equal bytes."""
        buffer = io.StringIO()
        self.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        root = ElementTree.fromstring(_short(buffer.getvalue()))
        _prune(root)
        _look_once(root)
        root.set("role", "img")
        root.set("aria-labelledby", "scorepath-title scorepath-desc")
        words = (("title", "scorepath-title", title), ("desc", "scorepath-desc", description))
        for place, (tag, key, text) in enumerate(words):
            _child(root, tag, text, place).set("id", key)
        if told := self._told():
            _child(root, "metadata", json.dumps(told, ensure_ascii=False, separators=(",", ":")), 2)
        with atomic_write(output) as file:
            file.write(f'<?xml version="1.0" encoding="utf-8"?>\n{serialized(root)}\n')

    def _told(self) -> dict[str, Any]:
        """The readings, with places in points from the top left corner; those that are out of sight are left out."""
        width, height = 72 * self.get_size_inches()
        panels = list(dict.fromkeys(reading.axes for reading in self.readings))
        series = []
        for reading in self.readings:
            left, top, right, bottom = _box(reading.axes, width, height)
            where = reading.axes.transData.transform(np.column_stack([reading.x, reading.y]).astype(float))
            x, y = self.transFigure.inverted().transform(where).T * [[width], [-height]] + [[0], [height]]
            with np.errstate(invalid="ignore"):
                seen = (x > left - BEYOND) & (x < right + BEYOND) & (y > top - BEYOND) & (y < bottom + BEYOND)
            drawn = zip(x, y, reading.where, reading.value, strict=True)
            shown = [
                [_place(across), _place(down), at, value]
                for (across, down, at, value), inside in zip(drawn, seen, strict=True)
                if inside
            ]
            if shown:
                hidden = {} if reading.rest is None else {"rest": reading.rest}
                place = panels.index(reading.axes)
                series.append({"panel": place, "name": reading.series, **hidden, "points": shown})
        boxes = [[str(axes.get_label()), *map(_place, _box(axes, width, height))] for axes in panels]
        return {"panels": boxes, "rest": self.rest, "series": series} if series else {}


def read(
    axes: Axes, series: str, x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray, where: Sequence[str],
    value: Sequence[str], rest: int | None = None,
) -> None:  # fmt: skip
    """Keep what is drawn at these points of `axes`, in its data coordinates, as words; its label names the panel."""
    sheet = axes.figure
    assert isinstance(sheet, Sheet)
    sheet.readings.append(Reading(axes, series, np.asarray(x), np.asarray(y), list(where), list(value), rest))


def hide(artists: Sequence[Artist], rest: int | None) -> None:
    """Mark what draws a series of the rest, so that it shows on demand only; nothing, where `rest` is None."""
    for artist in artists if rest is not None else ():
        artist.set_gid(f"rest {rest}")


def serialized(root: ElementTree.Element) -> str:
    """An SVG as text, with SVG as its default name space."""
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>")


def _box(axes: Axes, width: float, height: float) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of an axes, in points from the top left corner."""
    box = axes.get_position()
    return box.x0 * width, (1 - box.y1) * height, box.x1 * width, (1 - box.y0) * height


def _place(value: float) -> float | int:
    short = round(float(value), 1)
    return int(short) if short.is_integer() else short


def _short(text: str) -> str:
    """Without what says nothing; coordinates to a tenth of a point (a pixel of the page is 0.75)."""
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<!DOCTYPE[^>]*>", "", text, flags=re.DOTALL)
    text = re.sub(r' (d|x|y)="([^"]*)"', _rounded, text)
    return re.sub(r' transform="rotate\(-?0 [^"]*\)"', "", text)


def _rounded(match: re.Match[str]) -> str:
    numbers = re.sub(r"-?\d+\.\d+", lambda number: format(round(float(number[0]), 1), "g"), match[2])
    return f' {match[1]}="{" ".join(numbers.split())}"'


def _prune(root: ElementTree.Element) -> None:
    """Drop names that nothing refers to, shorten the others, drop groups that do nothing; name elements of the rest."""
    used: dict[str, str] = {}
    for element in root.iter():
        for key, value in element.attrib.items():
            if "url(#" in value or key.endswith("href"):
                for reference in REFERENCE.finditer(value):
                    used.setdefault(reference[2], f"n{len(used)}")
                element.set(key, REFERENCE.sub(lambda found: f"{found[1]}{used[found[2]]}", value))
    for element in root.iter():
        name = element.attrib.get("id", "")
        if name.startswith("rest "):
            element.set("class", f"rest rest-{name.removeprefix('rest ')}")
        if name in used:
            element.set("id", used[name])
        elif name:
            del element.attrib["id"]
        element.text = element.text if element.text and element.text.strip() else None
        element.tail = None
    _flatten(root)


def _flatten(parent: ElementTree.Element) -> None:
    children = []
    for child in parent:
        _flatten(child)
        bare = child.tag == f"{{{SVG}}}g" and not child.attrib
        children.extend(list(child) if bare else [child])
    parent[:] = children


def _look_once(root: ElementTree.Element) -> None:
    """Looks that recur become classes: half of a figure's bytes is the same few attributes."""
    counts = Counter(look for element in root.iter() if (look := element.attrib.get("style")))
    names = {look: f"s{index}" for index, look in enumerate(look for look, number in counts.items() if number > 1)}
    for element in root.iter():
        if (look := element.attrib.get("style")) in names:
            del element.attrib["style"]
            element.set("class", " ".join(filter(None, [element.attrib.get("class"), names[look]])))
    for element in root.iter(f"{{{SVG}}}style"):  # the backend's own rule, for everything; what is inherited will do
        root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
        element.text = ".rest{display: none}" + "".join(f".{name}{{{look}}}" for look, name in names.items())


def _child(root: ElementTree.Element, tag: str, text: str, place: int) -> ElementTree.Element:
    element = ElementTree.Element(f"{{{SVG}}}{tag}")
    element.text = text
    root.insert(place, element)
    return element
