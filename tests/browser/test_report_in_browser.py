"""The report in a real browser: the filter works, from the form's address too, and nothing is fetched from outside."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from tests.helpers.small_tables import write_tables

from scorepath.figures import FIGURES
from scorepath.reporting.page import render_report
from scorepath.store.tables import Tables

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip

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
    for name in ("verdict_map", "variance"):
        FIGURES[name].draw(tables, figures / f"{name}.svg")
    path = folder / "reports" / "report.html"
    render_report(tables, figures, None, path, provenance={"Commit": "of no study"})
    return path


def run(browser: str, profile: Path, address: str, *arguments: str) -> str:
    command = [browser, *FLAGS, f"--user-data-dir={profile}", *arguments, address]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def rows(dom: str) -> list[str]:
    body = dom[dom.index('id="cell-table"') :]
    return re.findall(r"<tr data-environment[^>]*>", body[: body.index("</table>")])


def test_all_cells_are_shown_and_counted(browser: str, report: Path, tmp_path: Path) -> None:
    dom = run(browser, tmp_path, report.as_uri(), "--dump-dom")
    found = rows(dom)
    assert len(found) == 18
    assert not any("hidden" in row for row in found)
    assert "18 of 18 cells shown" in dom
    assert '<option value="measure_valued">' in dom


def test_an_address_filters_the_cells(browser: str, report: Path, tmp_path: Path) -> None:
    dom = run(browser, tmp_path, f"{report.as_uri()}#cells?environment=smooth&status=failed", "--dump-dom")
    shown = [row for row in rows(dom) if "hidden" not in row]
    assert "1 of 18 cells shown" in dom
    assert len(shown) == 1
    assert 'data-status="failed"' in shown[0]
    assert "0 of 18 cells shown" in run(
        browser, tmp_path, f"{report.as_uri()}#cells?text=nothing%20like%20this", "--dump-dom"
    )


def test_every_command_has_a_button_that_copies_it(browser: str, report: Path, tmp_path: Path) -> None:
    """The script stands in for the reader: it takes what would reach the clipboard and presses each button."""
    pressing = """<script>
      const copied = [];
      Object.defineProperty(navigator, "clipboard", {value: {writeText: async (text) => copied.push(text)}});
      for (const button of document.querySelectorAll("#cell-table .copy")) button.click();
      document.title = JSON.stringify(copied);
    </script></body>"""
    page = report.with_name("pressed.html")
    page.write_text(report.read_text(encoding="utf-8").replace("</body>", pressing), encoding="utf-8")
    dom = run(browser, tmp_path, page.as_uri(), "--dump-dom")
    shown = re.findall(r"<code>(scorepath [^<]*)</code>", dom[dom.index('id="cell-table"') :])
    assert len(shown) > 5
    (title,) = re.findall("<title>(.*?)</title>", dom)
    assert json.loads(unescape(title)) == [unescape(command) for command in shown]


def test_no_address_outside_the_study_is_referred_to(browser: str, report: Path, tmp_path: Path) -> None:
    dom = run(browser, tmp_path, report.as_uri(), "--dump-dom")
    targets = re.findall(r'\b(?:src|href|action|srcset|poster)="([^"]*)"', dom)
    assert targets
    assert all(target.startswith(("#", "data:", "../results/tables/")) for target in targets)
    assert all((report.parent / target).is_file() for target in targets if target.startswith("../"))


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
