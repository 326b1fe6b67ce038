"""The report in a real browser: map and cells work, from the address too; all can read it, and it asks for nothing."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.small_tables import SIGMAS, write_tables

from scorepath.figures import FIGURES
from scorepath.reporting.page import render_report
from scorepath.store.tables import Tables

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
SAY = "SCOREPATH"
"""What a test's own script writes to the console begins with this."""

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        reason = "chromium is not on PATH"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    tables = Tables(write_tables(folder / "results" / "tables", status="failed", reason="its job failed"))
    figures = folder / "results" / "figures"
    for name in ("headline", "verdict_map", "variance"):
        FIGURES[name].draw(tables, figures / f"{name}.svg")
    path = folder / "reports" / "report.html"
    render_report(tables, figures, None, path, provenance={"Commit": "of no study"})
    return path


def run(browser: str, profile: Path, address: str, *arguments: str) -> str:
    return ended(browser, profile, address, *arguments).stdout


def ended(browser: str, profile: Path, address: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [browser, *FLAGS, f"--user-data-dir={profile}", "--enable-logging=stderr", *arguments, address]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)


def dom(browser: str, profile: Path, address: str) -> str:
    return run(browser, profile, address, "--virtual-time-budget=20000", "--dump-dom")


def with_script(report: Path, script: str, name: str = "scripted.html") -> Path:
    """A copy of the report with one more script at its end."""
    page = report.with_name(name)
    text = report.read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    return page


def said(browser: str, profile: Path, address: str, width: int) -> tuple[Any, list[str]]:
    """What a script said last at a width in CSS pixels, and whatever else the console has: errors, refused requests."""
    picture = profile.parent / "page.png"
    shown = ended(browser, profile, address, f"--window-size={width},900", f"--screenshot={picture}")
    lines = re.findall(r'CONSOLE[^"]*"(.*)", source:', shown.stderr)
    own = [line.removeprefix(SAY) for line in lines if line.startswith(SAY)]
    return json.loads(own[-1]) if own else None, [line for line in lines if not line.startswith(SAY)]


def table_of(report: Path, name: str) -> list[dict[str, str]]:
    with (report.parents[1] / "results" / "tables" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def rows(text: str) -> list[str]:
    """The rows of the table of cells that are drawn."""
    body = text[text.index('id="cell-table"') :]
    body = body[body.index("<tbody>") : body.index("</table>")]
    return re.findall(r"<tr>.*?</tr>", body, re.DOTALL)


# --- every cell -----------------------------------------------------------------------------------------------------


def test_all_cells_are_counted_and_a_page_of_them_drawn(browser: str, report: Path, tmp_path: Path) -> None:
    key = ("environment", "estimator", "sigma")
    measured = Counter(tuple(row[name] for name in key) for row in table_of(report, "gradient_statistics"))
    expected = sum(
        measured.get(tuple(row[name] for name in key), 1) if row["stage"] == "gradients" else 1
        for row in table_of(report, "cells")
    )
    text = dom(browser, tmp_path, report.as_uri())
    assert f"{expected} of {expected} rows shown" in text
    assert len(rows(text)) == min(40, expected)
    assert '<option value="measure_valued">' in text


def test_an_address_filters_the_cells(browser: str, report: Path, tmp_path: Path) -> None:
    text = dom(browser, tmp_path, f"{report.as_uri()}#cells?environment=smooth&status=failed")
    (shown,) = rows(text)
    assert "its job failed" in shown
    assert "results/logs/smooth.log" in shown
    assert "0 of " in dom(browser, tmp_path, f"{report.as_uri()}#cells?text=nothing%20like%20this")


def test_every_command_has_a_button_that_copies_it(browser: str, report: Path, tmp_path: Path) -> None:
    """The script stands in for the reader: it takes what would reach the clipboard and presses each button."""
    page = with_script(report, """
      const copied = [];
      Object.defineProperty(navigator, "clipboard", {value: {writeText: async (text) => copied.push(text)}});
      for (const button of document.querySelectorAll("#cell-table .copy")) button.click();
      document.title = JSON.stringify(copied);
    """)  # fmt: skip
    text = dom(browser, tmp_path, page.as_uri())
    shown = re.findall(r"<code>(scorepath [^<]*)</code>", text[text.index('id="cell-table"') :])
    assert len(shown) > 5
    assert json.loads(title(text)) == [unescape(command) for command in shown]


# --- the map --------------------------------------------------------------------------------------------------------


def title(text: str) -> str:
    (found,) = re.findall("<title>(.*?)</title>", text[: text.index("<style>")] if "<style>" in text else text)
    return unescape(found)


@pytest.mark.parametrize("criterion", ["equal_samples", "equal_compute"])
def test_the_map_shows_the_verdicts(browser: str, report: Path, tmp_path: Path, criterion: str) -> None:
    table = "verdicts_compute" if criterion == "equal_compute" else "verdicts"
    expected = Counter(
        row["verdict"].replace("score_function", "rival") for row in table_of(report, table)
        if (row["comparison"], row["criterion"], row["checkpoint"]) == ("pathwise_vs_reinforce", criterion, "0.0")
    )  # fmt: skip
    assert sum(expected.values()) == 6
    address = f"{report.as_uri()}#winners?by={criterion}&against=pathwise_vs_reinforce&checkpoint=0"
    text = dom(browser, tmp_path, address)
    assert Counter(re.findall(r'class="tile" data-kind="(\w+)"', text)) == expected


def test_a_tile_opens_its_card_from_the_address_and_arrow_keys_move_between_tiles(
    browser: str, report: Path, tmp_path: Path
) -> None:
    page = with_script(report, """
      const tiles = [...document.querySelectorAll(".tile")];
      tiles[0].focus();
      tiles[0].dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowDown", bubbles: true}));
      const below = document.activeElement.value;
      document.activeElement.click();
      document.title = JSON.stringify([below, tiles.filter((tile) => tile.tabIndex === 0).length, location.hash]);
    """)  # fmt: skip
    text = dom(browser, tmp_path, f"{page.as_uri()}#winners?by=equal_steps&checkpoint=0&open=smooth~1")
    below, stops, address = json.loads(title(text))
    assert below == "edge~0"
    assert stops == 1
    assert "by=equal_steps" in address
    assert "open=edge%7E0" in address
    card = text[text.index('id="card"') :]
    assert "edge at σ = 0" in card[: card.index("</h3>")]
    opened = dom(browser, tmp_path, f"{report.as_uri()}#winners?by=equal_steps&checkpoint=0&open=smooth~1")
    card = opened[opened.index('id="card"') : opened.index('<div class="unscripted"')]
    assert "smooth at σ = 1" in card
    assert "means of 32 trajectories" in card
    assert len(re.findall(r'class="line (?:own|other|still)"', card)) == len(SIGMAS)
    assert 'class="band"' in card
    assert "Coordinates in their order: solid, dashed." in card
    assert "scorepath gradients smooth pathwise 1" in card


def test_a_larger_batch_weighs_bias_more(browser: str, report: Path, tmp_path: Path) -> None:
    """At σ = 0.1 pathwise has in `edge` the bias² 4, the gradient's own square, and its rival the error 400 / B."""
    address = f"{report.as_uri()}#winners?by=equal_samples&against=pathwise_vs_reinforce&checkpoint=0&batch="
    for batch, expected in ((32, "neither_usable"), (1024, "rival")):
        text = dom(browser, tmp_path, f"{address}{batch}")
        kinds = {place: kind for kind, place in re.findall(r'data-kind="(\w+)" value="([\w.~]+)"', text)}
        assert (kinds["edge~0.1"], kinds["smooth~0.1"]) == (expected, "pathwise")


def test_a_table_is_saved_as_it_is_on_disk(browser: str, report: Path, tmp_path: Path) -> None:
    page = with_script(report, """
      const keep = (text) => { document.title = JSON.stringify(text); };
      URL.createObjectURL = (blob) => { blob.text().then(keep); return "#"; };
      document.querySelector('.downloads a[download="verdicts.csv.gz"]').click();
    """)  # fmt: skip
    saved = json.loads(title(dom(browser, tmp_path, page.as_uri())).replace("\n", "\\n"))
    on_disk = (report.parents[1] / "results" / "tables" / "verdicts.csv").read_text(encoding="utf-8")
    assert saved.split() == on_disk.split()  # a title's spaces are joined


# --- for everybody --------------------------------------------------------------------------------------------------

MEASURE = f"""
  const beforeCells = (e) => document.getElementById("cell-table").compareDocumentPosition(e) & 2;
  const say = () => console.log("{SAY}" + JSON.stringify({{
    inner: innerWidth, wide: document.documentElement.scrollWidth,
    stops: [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex]")].filter((e) =>
      e.tabIndex >= 0 && !e.disabled && e.checkVisibility() && beforeCells(e)).length,
  }}));
  addEventListener("load", say);
  addEventListener("resize", () => requestAnimationFrame(() => setTimeout(say)));  // when all else has been redrawn
"""


@pytest.mark.parametrize("width", [1280, 360])
def test_it_fits_has_few_tab_stops_and_asks_for_nothing(browser: str, report: Path, tmp_path: Path, width: int) -> None:
    page = with_script(report, MEASURE)
    found, others = said(browser, tmp_path / "profile", page.as_uri(), width)
    assert others == []
    assert found["inner"] == found["wide"] == width
    assert 20 < found["stops"] < 100


def test_a_request_would_be_refused_and_seen(browser: str, report: Path, tmp_path: Path) -> None:
    page = with_script(report, 'document.body.append(Object.assign(new Image(), {src: "https://example.org/x.png"}));')
    _, others = said(browser, tmp_path / "profile", page.as_uri(), 1280)
    assert any("Content Security Policy" in line for line in others)


@pytest.mark.parametrize(("planted", "expected"), [("", set()), ("<img src='data:,'>", {"image-alt", "region"})])
def test_axe_finds_nothing_but_what_is_planted(
    browser: str, report: Path, tmp_path: Path, planted: str, expected: set[str]
) -> None:
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    page = with_script(report, f"""{axe}</script>{planted}<script>
      addEventListener("load", () => setTimeout(() => axe.run(document).then((found) => {{
        document.title = JSON.stringify(found.violations.map((each) => [each.id, each.nodes[0].html]));
      }}), 200));
    """)  # fmt: skip
    text = dom(browser, tmp_path, f"{page.as_uri()}#winners?by=equal_samples&checkpoint=0&open=smooth~1")
    found = json.loads(title(text))
    assert {name for name, _ in found} == expected, found


def test_it_prints_without_the_cells(browser: str, report: Path, tmp_path: Path) -> None:
    output = tmp_path / "page.pdf"
    run(browser, tmp_path, report.as_uri(), f"--print-to-pdf={output}", "--no-pdf-header-footer")
    assert 1 < len(re.findall(rb"/Type\s*/Page\b", output.read_bytes())) <= 20


@pytest.mark.parametrize("medium", ["print", "screen"])
def test_paper_has_the_figure_for_the_map_and_heads_on_every_page(
    browser: str, report: Path, tmp_path: Path, medium: str
) -> None:
    """What holds for print is tried on the screen."""
    page = with_script(report, """
      const shown = (selector) => document.querySelector(selector).checkVisibility();
      document.title = JSON.stringify([shown("#cells"), shown("#map"), shown("#figure-verdict_map"),
        getComputedStyle(document.querySelector("thead")).display]);
    """)  # fmt: skip
    if medium == "print":
        page.write_text(page.read_text(encoding="utf-8").replace("@media print", "@media all"), encoding="utf-8")
    cells, overview, figure, head = json.loads(title(dom(browser, tmp_path, page.as_uri())))
    assert (cells, overview, figure) == ((False, False, True) if medium == "print" else (True, True, False))
    assert head == "table-header-group", "repeated by itself on every page"


def test_no_address_outside_the_study_is_referred_to(browser: str, report: Path, tmp_path: Path) -> None:
    text = dom(browser, tmp_path, report.as_uri())
    text = re.sub(r'<ul class="works">.*?</ul>', "", text, flags=re.DOTALL)  # links to be followed
    targets = re.findall(r'\b(?:src|href|action|srcset|poster)="([^"]*)"', text)
    assert targets
    assert all(target.startswith(("#", "data:")) for target in targets)


@pytest.mark.parametrize(("width", "scheme"), [(1280, 1), (1280, 0), (360, 1)])
def test_it_draws_wide_and_narrow_light_and_dark(
    browser: str, report: Path, tmp_path: Path, width: int, scheme: int
) -> None:
    picture = tmp_path / "page.png"
    run(
        browser, tmp_path / "profile", report.as_uri(), f"--window-size={width},900",
        f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={picture}",
    )  # fmt: skip
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 5_000
