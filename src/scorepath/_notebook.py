"""What a notebook shows of a result: a sentence, and a small figure under it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


WRAPPED = "white-space:pre-wrap;overflow-wrap:anywhere"
"""Lines as they are, but for those that are wider than the window."""


def small_figure() -> tuple[Figure, Axes]:
    """A figure for one line of marks."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 1.5), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure, axes


def bar(axes: Axes, estimate: tuple[Any, Any, Any], height: float, colour: str) -> None:
    """An estimate and its limits: (value, low, high)."""
    axes.plot(estimate[1:], [height, height], color=colour, lw=2, solid_capstyle="butt")
    axes.plot(estimate[0], height, "o", color=colour, markersize=5)


def html(sentence: str, figure: Figure) -> str:
    """The sentence above the figure."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    svg = buffer.getvalue()
    return f"<p>{escape(sentence)}</p>{svg[svg.index('<svg') :]}"


def page(head: str, parts: Sequence[tuple[str, str]], lines: Sequence[str]) -> str:
    """A head, parts of a title and preformatted text each, and closing lines."""
    body = [f"<h1>{escape(head)}</h1>"]
    body += [f'<h2>{escape(title)}</h2><pre style="{WRAPPED}">{escape(text)}</pre>' for title, text in parts]
    return "\n".join([*body, *(f"<p>{escape(line)}</p>" for line in lines)])
