"""How data lies inside the page: columns of numbers and of words for its scripts, whole tables to be downloaded.

A page is mailed alone, so it holds all of it: JSON for what its scripts draw, each table as it is on disk, compressed.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from scorepath.store.tables import COLUMNS, Tables

DIGITS = 4
"""Significant digits of a number in a script's data; the tables have all of theirs."""


def columns(frame: pd.DataFrame, text: tuple[str, ...], numbers: tuple[str, ...]) -> dict[str, Any]:
    """The columns of a frame: words as `{"names": [...], "codes": [...]}`, numbers rounded, None for none."""
    found: dict[str, Any] = {}
    for name in text:
        codes, names = pd.factorize(frame[name].astype(str))
        found[name] = {"names": names.tolist(), "codes": codes.tolist()}
    for name in numbers:
        digits = DIGITS - 1 if name.endswith(("_low", "_high")) else DIGITS  # a limit is but read
        found[name] = [rounded(value, digits) for value in frame[name].tolist()]
    return found


def rounded(value: float | None, digits: int = DIGITS) -> float | int | str | None:
    """A number as JSON has it: None for none, and a word for infinity, which JSON lacks."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def script_data(data: Mapping[str, Any]) -> Markup:
    """JSON for the body of a script element: nothing in it can end the element, or open another."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


@dataclass(frozen=True)
class Download:
    """A table as the page carries it."""

    name: str
    rows: int
    size: int
    """Bytes of the CSV."""
    uri: str
    """Its gzip, as a data address."""


def downloads(tables: Tables) -> list[Download]:
    """Every table of the study that exists; equal tables give equal bytes."""
    found = []
    for name in COLUMNS:
        path = Path(tables.folder) / f"{name}.csv"
        if path.is_file():
            content = path.read_bytes()
            packed = base64.b64encode(gzip.compress(content, mtime=0)).decode()
            uri = f"data:application/gzip;base64,{packed}"
            found.append(Download(name, len(tables.read(name)), len(content), uri))
    return found
