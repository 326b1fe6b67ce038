"""Every figure draws, from full, partial and empty tables, the same bytes each time, and refers to nothing outside."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.helpers.small_tables import write_tables

from scorepath.figures import FIGURES
from scorepath.figures.bias import seen_biased
from scorepath.intervals import bias_p_values
from scorepath.store.records import require_intact
from scorepath.store.tables import COLUMNS, Tables

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tables(tmp_path_factory.mktemp("study") / "tables")


@pytest.mark.parametrize("name", FIGURES)
def test_draws_the_same_self_contained_svg_each_time(name: str, tables: Path, tmp_path: Path) -> None:
    FIGURES[name].draw(Tables(tables), tmp_path / "one.svg")
    FIGURES[name].draw(Tables(tables), tmp_path / "two.svg")
    text = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert text == (tmp_path / "two.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.findtext(f"{SVG}title")
    assert "no data" not in (root.findtext(f"{SVG}desc") or "").lower()
    assert len(text) < 300_000
    links = re.findall(r'(?:href|src)="([^"]*)"|url\(([^)]*)\)', text)
    assert all((one or other).startswith("#") for one, other in links)
    assert "<!DOCTYPE" not in text
    assert "<metadata>" not in text
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", FIGURES)
def test_empty_tables_give_a_figure_that_says_so(name: str, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    FIGURES[name].draw(Tables(tmp_path / "tables"), tmp_path / "out.svg")
    assert "no data yet" in (tmp_path / "out.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(set(FIGURES) - {"headline", "one_step", "profiles"}))  # no names in them
def test_names_that_look_like_markup_are_text(name: str, tmp_path: Path) -> None:
    hostile = "<script>$x^{&"
    tables = write_tables(tmp_path / "tables", (hostile, "edge"), losers=(hostile, "edge"))
    FIGURES[name].draw(Tables(tables), tmp_path / "out.svg")
    root = ElementTree.fromstring((tmp_path / "out.svg").read_text(encoding="utf-8"))
    assert not list(root.iter(f"{SVG}script"))
    assert any(hostile in (node.text or "") for node in root.iter(f"{SVG}text"))


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_reads_the_tables_that_it_names_and_no_others(
    name: str, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = set()

    def note(path: Path) -> None:
        opened.add(Path(path).stem)
        require_intact(path)

    monkeypatch.setattr("scorepath.store.tables.require_intact", note)
    FIGURES[name].draw(Tables(tables), tmp_path / "out.svg")
    assert opened == set(FIGURES[name].reads)


@pytest.mark.parametrize("missing", sorted(set(COLUMNS) - {"cells"}))  # without which there is no study
def test_a_missing_table_stops_no_figure(missing: str, tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", ("smooth",), losers=())
    (tables / f"{missing}.csv").unlink()
    for name in FIGURES:
        FIGURES[name].draw(Tables(tables), tmp_path / f"{name}.svg")
        assert (tmp_path / f"{name}.svg").is_file()


# --- what figures say to those who cannot see them -------------------------------------------------------------------


def description(name: str, tables: Path, output: Path) -> str:
    FIGURES[name].draw(Tables(tables), output / f"{name}.svg")
    return ElementTree.parse(output / f"{name}.svg").getroot().findtext(f"{SVG}desc") or ""


def test_unbiased_estimators_are_drawn_as_biased_in_a_study_of_twenty_at_most() -> None:
    """400 studies of 40 estimators, each at five levels with the same numbers: at most 20 expected, 46 below 1e-6."""
    generator = np.random.default_rng(3)
    rows = pd.DataFrame(
        [(f"e{i}", "mine", sigma) for i in range(40) for sigma in range(5)],
        columns=["environment", "estimator", "sigma"],
    ).assign(proved_unbiased=False, relative=1.0)
    wrong = 0
    for _ in range(400):
        errors = generator.normal(size=(40, 64, 3)) * [1.0, 0.3, 0.1]
        covariance = np.einsum("ebi,ebj->eij", errors, errors) / 63 / 64
        spread = np.trace(covariance, axis1=1, axis2=2)
        square = np.square(errors.mean(1)).sum(-1) - spread
        p_values = bias_p_values(square, spread, np.square(covariance).sum((1, 2)), 64)
        wrong += bool(seen_biased(rows.assign(bias_p_value=np.repeat(p_values, 5))))
    assert wrong <= 45
    one = rows.assign(bias_p_value=np.where(rows["environment"] == "e7", 1e-5, 0.5))
    assert seen_biased(one) == {("e7", "mine")}
    assert not seen_biased(one.assign(proved_unbiased=True))


def test_a_bias_beyond_the_ceiling_is_no_percentage(tmp_path: Path) -> None:
    """Where the gradient vanishes, any bias is astronomical beside it."""
    tables = write_tables(tmp_path / "tables")
    assert "at most 100 % of the gradient (edge" in description("bias", tables, tmp_path)
    statistics = pd.read_csv(tables / "gradient_statistics.csv")
    vanished = (statistics["environment"] == "edge") & (statistics["sigma"] == 1.0)
    for end in ("", "_low", "_high"):
        statistics.loc[vanished & (statistics["estimator"] == "pathwise"), f"squared_bias{end}"] = 1e140
    statistics.to_csv(tables / "gradient_statistics.csv", index=False)
    words = description("bias", tables, tmp_path)
    assert "more than 10 times the length of the gradient (edge, sigma 1)" in words
    assert "e+" not in words


def test_the_limit_has_its_point_at_zero(tmp_path: Path) -> None:
    """Also where pathwise is measured under the name of the estimator that equals it there."""
    tables = write_tables(tmp_path / "tables", ("smooth",), losers=())
    statistics, cells = (pd.read_csv(tables / f"{name}.csv") for name in ("gradient_statistics", "cells"))
    at_zero = (cells["estimator"] == "pathwise") & (cells["sigma"] == 0)
    cells.loc[at_zero, "status"] = "identical_to:deterministic_pathwise"
    chosen = (statistics["estimator"] == "pathwise") & (statistics["sigma"] == 0)
    statistics.loc[chosen, "estimator"] = "deterministic_pathwise"
    cells.to_csv(tables / "cells.csv", index=False)
    statistics.to_csv(tables / "gradient_statistics.csv", index=False)
    text = {}
    for name in ("with", "without"):
        FIGURES["zero_noise_limit"].draw(Tables(tables), tmp_path / f"{name}.svg")
        text[name] = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
        statistics[~chosen].to_csv(tables / "gradient_statistics.csv", index=False)
    assert "At 0 stands pathwise" in text["with"]
    assert "At 0 stands pathwise" not in text["without"]
    assert text["with"].count("<use ") == text["without"].count("<use ") + 1


def test_a_slope_is_told_only_near_the_limit(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", ("smooth", "edge"), losers=())
    assert "smooth −2.0, edge −2.0" in description("zero_noise_limit", tables, tmp_path)
    statistics = pd.read_csv(tables / "gradient_statistics.csv")
    far = (statistics["environment"] == "edge") & (statistics["sigma"] == 0.1)
    statistics.loc[far, "nsr"] *= 1e20  # a gradient that has vanished
    statistics.to_csv(tables / "gradient_statistics.csv", index=False)
    words = description("zero_noise_limit", tables, tmp_path)
    assert "smooth −2.0" in words
    assert "edge" not in words


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_legible_in_the_report(name: str, tables: Path, tmp_path: Path) -> None:
    """The report's column is 1139 CSS pixels wide in a window of 1280; no text in it is smaller than 11."""
    FIGURES[name].draw(Tables(tables), tmp_path / "out.svg")
    text = (tmp_path / "out.svg").read_text(encoding="utf-8")
    width = float(ElementTree.fromstring(text).attrib["width"].removesuffix("pt"))
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", text)]
    assert sizes
    assert min(sizes) * 1139 / width >= 11
