"""Figures in a real browser: values by pointer and keys, the rest on demand, a file, dark paper, legible text."""

from __future__ import annotations

import base64
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import matplotlib.image
import pandas as pd
import pytest
from tests.browser.test_report_in_browser import browser, dom, run, said, title, with_script
from tests.helpers.small_tables import write_tables

from scorepath.figures import FIGURES
from scorepath.figures.style import MOST_LINES
from scorepath.figures.wording import interval
from scorepath.reporting.page import render_report
from scorepath.store.tables import Tables

SVG = "{http://www.w3.org/2000/svg}"
EXTRA = 5
"""Estimators beside the small tables' three."""

__all__ = ["browser"]  # a fixture

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with more estimators than a panel shows at first."""
    folder = tmp_path_factory.mktemp("study")
    tables = write_tables(folder / "results" / "tables")
    for name in ("cells", "gradient_statistics"):
        frame = pd.read_csv(tables / f"{name}.csv", keep_default_na=False)
        own = frame[frame["estimator"] == "measure_valued"]
        parts = [own.assign(estimator=f"other_{index}") for index in range(EXTRA)]
        pd.concat([frame, *parts]).to_csv(tables / f"{name}.csv", index=False)
    figures = folder / "results" / "figures"
    for name in ("variance", "estimator_map", "learning_curves", "headline"):
        FIGURES[name].draw(Tables(tables), figures / f"{name}.svg")
    path = folder / "reports" / "report.html"
    render_report(Tables(tables), figures, None, path, provenance={})
    return path


def answer(browser: str, page: Path, profile: Path, script: str) -> Any:
    """What a script puts into `found` once the page stands."""
    scripted = with_script(page, f"{{\nconst found = {{}};\n{script}\ndocument.title = JSON.stringify(found);\n}}")
    return json.loads(title(dom(browser, profile, scripted.as_uri())))


def row_of(report: Path, environment: str, estimator: str, sigma: float) -> Any:
    rows = pd.read_csv(report.parents[1] / "results" / "tables" / "gradient_statistics.csv")
    (row,) = rows[
        (rows["environment"] == environment) & (rows["estimator"] == estimator) & (rows["sigma"] == sigma)
        & (rows["checkpoint"] == 0)
    ].itertuples()  # fmt: skip
    return row


FIND = """
  const figure = document.getElementById("figure-variance");
  const plot = figure.querySelector(".plot"), svg = plot.querySelector("svg"), walk = plot.querySelector(".walk");
  const tip = plot.querySelector(".tip");
  const { panels, series, rest } = JSON.parse(svg.querySelector("metadata").textContent);
"""


def test_the_pointer_is_told_the_value_that_the_table_has(browser: str, crowded: Path, tmp_path: Path) -> None:
    found = answer(browser, crowded, tmp_path, FIND + """
      const own = series.find((each) => panels[each.panel][0] === "smooth" && each.name === "REINFORCE");
      const [x, y] = own.points.find((point) => point[2] === "σ = 0.1");
      const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
      const move = (across, down) => plot.dispatchEvent(new PointerEvent("pointermove",
        { clientX: box.left + across * scale, clientY: box.top + down * scale, bubbles: true }));
      move(x + 0.4, y - 0.4);
      found.near = tip.innerText;
      const ring = plot.querySelector(".ring").getBoundingClientRect();
      found.off = Math.hypot(ring.left + ring.width / 2 - box.left - x * scale,
        ring.top + ring.height / 2 - box.top - y * scale);
      move(2, 2);
      found.gone = tip.hidden;
    """)  # fmt: skip
    row = row_of(crowded, "smooth", "reinforce", 0.1)
    assert f"REINFORCE: {interval(row.variance, row.variance_low, row.variance_high)}" in found["near"]
    assert "smooth, σ = 0.1" in found["near"]
    assert found["off"] < 2
    assert found["gone"]


def test_arrow_keys_reach_every_point_and_say_it(browser: str, crowded: Path, tmp_path: Path) -> None:
    found = answer(browser, crowded, tmp_path, FIND + """
      const press = (key) => walk.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      const says = () => walk.getAttribute("aria-valuetext");
      walk.focus();
      found.shown = !tip.hidden;
      found.all = series.filter((each) => each.rest === undefined).flatMap((each) =>
        each.points.map(([, , where, value]) => `${each.name}, ${panels[each.panel][0]}, ${where}: ${value}`));
      press("Home");
      found.said = [says()];
      for (let step = 1; step < found.all.length; step++) { press("ArrowRight"); found.said.push(says()); }
      press("ArrowRight");
      found.last = says();
      press("Home"); press("ArrowDown"); found.below = says(); press("ArrowUp"); found.back = says();
      press("PageDown"); found.next = says(); press("PageUp"); found.previous = says();
      press("Escape"); found.hidden = tip.hidden;
    """)  # fmt: skip
    assert found["shown"]
    assert sorted(found["said"]) == sorted(found["all"])
    assert found["last"] == found["said"][-1]
    assert found["below"].split(",")[0] != found["back"].split(",")[0] == "REINFORCE"
    assert ", smooth, " in found["back"]
    assert ", edge, " in found["next"]
    assert ", smooth, " in found["previous"]
    assert found["hidden"]


def test_five_lines_are_shown_and_another_on_demand(browser: str, crowded: Path, tmp_path: Path) -> None:
    found = answer(browser, crowded, tmp_path, FIND + """
      const seen = (part) => getComputedStyle(part).display !== "none";
      const visible = () => [...svg.querySelectorAll(".rest")].filter(seen).length;
      const select = figure.querySelector("select");
      Object.assign(found, { rest, before: visible(), options: [...select.options].map((each) => each.text),
        most: walk.getAttribute("aria-valuemax") });
      select.value = "1";
      select.dispatchEvent(new Event("change", { bubbles: true }));
      Object.assign(found, { after: visible(), more: walk.getAttribute("aria-valuemax") });
    """)  # fmt: skip
    hidden = 3 + EXTRA - MOST_LINES
    assert found["options"] == ["no other", *found["rest"]]
    assert len(found["rest"]) == hidden
    assert found["before"] == 0
    assert found["after"] > 0
    assert int(found["more"]) > int(found["most"])


def test_what_is_under_a_figure_is_one_tab_stop(browser: str, crowded: Path, tmp_path: Path) -> None:
    found = answer(browser, crowded, tmp_path, FIND + """
      const items = [...figure.querySelectorAll(".tools :is(select, a, button)")];
      found.stops = items.filter((item) => item.tabIndex === 0).length;
      items[0].focus();
      const right = () => new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true });
      for (const item of items.slice(1)) document.activeElement.dispatchEvent(right());
      found.last = document.activeElement === items.at(-1);
      found.moved = items.filter((item) => item.tabIndex === 0).length;
    """)  # fmt: skip
    assert found == {"stops": 1, "last": True, "moved": 1}


def test_a_figure_is_saved_as_it_shows_in_the_colours_of_white_paper(
    browser: str,
    crowded: Path,
    tmp_path: Path,
) -> None:
    page = with_script(crowded, """
      const select = document.querySelector("#figure-variance select");
      select.value = "0";
      select.dispatchEvent(new Event("change", { bubbles: true }));
      const keep = (text) => { document.title = btoa(unescape(encodeURIComponent(text))); };
      URL.createObjectURL = (blob) => { blob.text().then(keep); return "#"; };
      document.querySelector("#figure-variance .tools button").click();
    """, "saved.html")  # fmt: skip
    text = base64.b64decode(title(dom(browser, tmp_path, page.as_uri()))).decode()
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert "light-dark" not in text
    assert "#d55e00" in text
    names = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
    targets = re.findall(r'(?:href="#|url\(#)([^")]*)', text)
    assert targets
    assert set(targets) <= names
    assert 'class="rest ' not in text
    assert "rest-0" in text
    assert "rest-1" not in text


@pytest.mark.parametrize("scheme", [0, 1])
def test_dark_paper_has_no_white_sheets(browser: str, crowded: Path, tmp_path: Path, scheme: int) -> None:
    """The figures alone, in a picture: on dark paper hardly a pixel is light, on white paper most are."""
    page = with_script(crowded, """
      addEventListener("load", () => {
        const figures = [...document.querySelectorAll("figure.drawn")];
        document.body.replaceChildren(...figures.filter((figure) => figure.id !== "figure-verdict_map"));
      });
    """, "figures.html")  # fmt: skip
    picture = tmp_path / "page.png"
    run(
        browser, tmp_path / "profile", page.as_uri(), "--window-size=1280,2600",
        f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={picture}",
    )  # fmt: skip
    light = (matplotlib.image.imread(picture)[..., :3].min(-1) > 0.85).mean()
    assert light < 0.04 if scheme == 0 else light > 0.6


@pytest.mark.parametrize("width", [1280, 360])
def test_no_text_of_a_figure_is_smaller_than_eleven_pixels(
    browser: str,
    crowded: Path,
    tmp_path: Path,
    width: int,
) -> None:
    page = with_script(crowded, """
      const size = (svg) => Math.min(...[...svg.querySelectorAll("text")].map((text) =>
        parseFloat(getComputedStyle(text).fontSize) * svg.clientWidth / svg.viewBox.baseVal.width));
      const drawings = () => [...document.querySelectorAll(".plot svg")].filter((svg) => svg.clientWidth);
      const say = () => console.log("SCOREPATH" + JSON.stringify(drawings().map(size)));
      addEventListener("load", say);
      addEventListener("resize", () => setTimeout(say));
    """, "text.html")  # fmt: skip
    found, others = said(browser, tmp_path / "profile", page.as_uri(), width)
    assert others == []
    assert len(found) >= 3
    assert min(found) >= 11
