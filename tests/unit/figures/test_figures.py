"""Every figure draws, from full, partial and empty tables, the same bytes each time, and refers to nothing outside."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.helpers.small_tables import write_tables

from scorepath.figures import FIGURES
from scorepath.figures.bias import seen_biased
from scorepath.figures.style import MOST_LINES
from scorepath.figures.wording import interval
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
    assert "dc:date" not in text
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
def test_a_missing_table_stops_no_figure_that_reads_it(missing: str, tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", ("smooth",), losers=())
    (tables / f"{missing}.csv").unlink()
    for name in (name for name, figure in FIGURES.items() if missing in figure.reads):
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
    assert "more than 10 times the length of the gradient (edge, σ = 1)" in words
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
    """The report shows a figure at 62rem or wider, 992 CSS pixels; no text in it is smaller than 11."""
    FIGURES[name].draw(Tables(tables), tmp_path / "out.svg")
    text = (tmp_path / "out.svg").read_text(encoding="utf-8")
    width = float(ElementTree.fromstring(text).attrib["width"].removesuffix("pt"))
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", text)]
    assert sizes
    assert min(sizes) * 992 / width >= 11


# --- what is told of each point --------------------------------------------------------------------------------------

REPLACED = {"verdict_map", "one_step"}
"""Where scripts run the page shows an interactive map and figure in their place."""


def told(svg: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ElementTree.parse(svg).getroot().findtext(f"{SVG}metadata") or "{}")
    return found


@pytest.mark.parametrize("name", sorted(set(FIGURES) - REPLACED))
def test_every_figure_tells_its_points_within_their_panels(name: str, tables: Path, tmp_path: Path) -> None:
    FIGURES[name].draw(Tables(tables), tmp_path / "out.svg")
    found = told(tmp_path / "out.svg")
    assert found["series"]
    for series in found["series"]:
        _, left, top, right, bottom = found["panels"][series["panel"]]
        assert series["points"]
        for x, y, _, value in series["points"]:
            assert left - 7 <= x <= right + 7
            assert top - 7 <= y <= bottom + 7
            assert value


def test_a_point_is_told_where_it_is_drawn_with_the_number_of_its_table(tables: Path, tmp_path: Path) -> None:
    FIGURES["variance"].draw(Tables(tables), tmp_path / "out.svg")
    text = (tmp_path / "out.svg").read_text(encoding="utf-8")
    found = told(tmp_path / "out.svg")
    statistics = pd.read_csv(tables / "gradient_statistics.csv")
    rows = statistics[(statistics["checkpoint"] == 0) & (statistics["estimator"] == "reinforce")]
    drawn = set(re.findall(r'<use xlink:href="#\w+" x="([\d.]+)" y="([\d.]+)"', text))
    places = {(round(float(x), 1), round(float(y), 1)) for x, y in drawn}
    for environment in ("smooth", "edge"):
        (panel,) = [place for place, entry in enumerate(found["panels"]) if entry[0] == environment]
        (series,) = [
            each for each in found["series"] if each["panel"] == panel and each["name"] == "REINFORCE"
        ]  # fmt: skip
        own = rows[rows["environment"] == environment].sort_values("sigma")
        for (x, y, where, value), row in zip(series["points"], own.itertuples(), strict=True):
            assert where == f"σ = {row.sigma:g}"
            assert value.split("; exact")[0] == interval(row.variance, row.variance_low, row.variance_high)
            assert any(abs(x - across) <= 0.11 and abs(y - down) <= 0.11 for across, down in places)
        assert series["points"][0][3].endswith("; exact 400")


def test_a_biased_estimator_is_marked_where_it_is_biased(tables: Path, tmp_path: Path) -> None:
    """Pathwise loses the whole gradient in `edge`, and only there."""
    FIGURES["zero_noise_limit"].draw(Tables(tables), tmp_path / "out.svg")
    found = told(tmp_path / "out.svg")
    for series in found["series"]:
        environment = found["panels"][series["panel"]][0]
        expected = environment == "edge" and series["name"] == "pathwise"
        assert all(("biased here" in value) == expected for *_, value in series["points"])
    assert "pathwise †" in (tmp_path / "out.svg").read_text(encoding="utf-8")


def test_a_panel_shows_five_lines_and_holds_the_rest(tmp_path: Path) -> None:
    """Seven more estimators are drawn hidden, each with a number of its own."""
    tables = write_tables(tmp_path / "tables")
    for name in ("cells", "gradient_statistics"):
        frame = pd.read_csv(tables / f"{name}.csv", keep_default_na=False)
        own = frame[frame["estimator"] == "measure_valued"]
        parts = [own.assign(estimator=f"other_{index}") for index in range(9)]
        pd.concat([frame, *parts]).to_csv(tables / f"{name}.csv", index=False)
    FIGURES["variance"].draw(Tables(tables), tmp_path / "out.svg")
    found = told(tmp_path / "out.svg")
    assert found["rest"] == [f"other {index}" for index in range(2, 9)]
    for panel in range(len(found["panels"])):
        first = {each["name"] for each in found["series"] if each["panel"] == panel and "rest" not in each}
        assert len(first) <= MOST_LINES
    text = (tmp_path / "out.svg").read_text(encoding="utf-8")
    assert ".rest{display: none}" in text
    assert {f"rest-{index}" for index in range(7)} == set(re.findall(r'class="rest (rest-\d+)', text))


@pytest.mark.parametrize("name", FIGURES)
def test_numbers_are_written_as_people_do(name: str, tmp_path: Path) -> None:
    """However large they are: no 5.7e+06 in title, description, notes or values."""
    tables = write_tables(tmp_path / "tables")
    columns = {
        "gradient_statistics": ["variance", "variance_low", "variance_high", "nsr", "squared_bias", "projection"],
        "costs": ["seconds_per_sample", "seconds_per_sample_high"],
        "training": ["return_stochastic"],
        "claims": ["predicted", "measured", "measured_low", "measured_high"],
    }
    for table, own in columns.items():
        frame = pd.read_csv(tables / f"{table}.csv", keep_default_na=False, na_values=[""])
        frame[own] = 5.7e6 * frame[own]
        frame.to_csv(tables / f"{table}.csv", index=False)
    FIGURES[name].draw(Tables(tables), tmp_path / "out.svg")
    root = ElementTree.parse(tmp_path / "out.svg").getroot()
    words = [node.text or "" for tag in ("title", "desc", "metadata", "text") for node in root.iter(f"{SVG}{tag}")]
    assert not [text for text in words if re.search(r"\de[+-]\d", text)]
