"""Figures: tables in, one SVG out.

A figure is a function `(tables, output) -> None` of the folder with the study's tables and of the file to write.
`FIGURES` names them all; a figure's module, and with it matplotlib, is imported only when the figure is drawn.
Equal tables give equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path

Draw = Callable[[Path, Path], None]


def _lazy(module: str, function: str = "draw") -> Draw:
    def draw(tables: Path, output: Path) -> None:
        getattr(import_module(f"scorepath.figures.{module}"), function)(Path(tables), Path(output))

    draw.__name__ = draw.__qualname__ = f"{module}.{function}"
    return draw


FIGURES: dict[str, Draw] = {
    "verdict_map": _lazy("verdict_map"),
    "estimator_map": _lazy("estimator_map"),
    "identity": _lazy("identity"),
    "zero_noise_limit": _lazy("noise_sweep", "draw_zero_noise_limit"),
    "variance": _lazy("noise_sweep", "draw_variance"),
    "nsr": _lazy("noise_sweep", "draw_nsr"),
    "bias": _lazy("bias"),
    "learning_curves": _lazy("learning", "draw_steps"),
    "learning_curves_seconds": _lazy("learning", "draw_seconds"),
    "cost": _lazy("cost"),
}


def draw_figure(name: str, tables: Path, output: Path) -> None:
    """Draw the figure `name` from the tables in the folder `tables` into the SVG file `output`."""
    if name not in FIGURES:
        raise ValueError(f"there is no figure {name!r}; the figures are {', '.join(FIGURES)}")
    FIGURES[name](Path(tables), Path(output))


def draw_figures(tables: Path, folder: Path, names: Iterable[str] | None = None) -> list[Path]:
    """Draw several figures (all unless told) in one process, which pays for the imports once."""
    paths = []
    for name in FIGURES if names is None else names:
        paths.append(Path(folder) / f"{name}.svg")
        draw_figure(name, tables, paths[-1])
    return paths
