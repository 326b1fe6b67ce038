"""The interactive figure computes in a browser what Python computes; addresses set its knobs and open questions."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest
from tests.browser.test_report_in_browser import browser, dom, report, with_script

from scorepath.questions import one_step

pytestmark = [pytest.mark.browser, pytest.mark.slow]

__all__ = ["browser", "report"]  # fixtures

POSITIONS = ["sigma=0.3&k=4&h=1", "sigma=0.02&k=20&h=-3", "sigma=1&k=0&h=3", "sigma=0.11&k=7.5&h=0"]


def numbers(text: str) -> dict[str, float | list[float]]:
    """What the figure says, unrounded."""
    (found,) = re.findall(r'data-numbers="([^"]*)"', text)
    told: dict[str, float | list[float]] = json.loads(unescape(found))
    return told


@pytest.mark.parametrize("position", POSITIONS)
def test_the_script_computes_what_python_computes(browser: str, report: Path, tmp_path: Path, position: str) -> None:
    text = dom(browser, tmp_path, f"{report.as_uri()}#try?{position}")
    told = numbers(text)
    knobs = {name: float(value) for name, _, value in (part.partition("=") for part in position.split("&"))}
    assert {name: told[name] for name in knobs} == knobs
    place = knobs["sigma"], knobs["k"], knobs["h"]
    truth, found = one_step.exact(*place), one_step.estimated(*place)
    expected = {
        "smooth": truth.smooth, "boundary": truth.boundary, "gradient": truth.gradient,
        "reinforce": list(one_step.mean_with_limits(found.reinforce)),
        "pathwise": list(one_step.mean_with_limits(found.pathwise)),
    }  # fmt: skip
    for name, value in expected.items():
        assert told[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name
    said = f"Exact gradient {truth.gradient:.2f}: ".replace("-", "−")
    assert said in text or abs(truth.gradient) < 0.005
    assert text.count("<rect") > 20


def test_what_an_address_cannot_mean_is_left_alone(browser: str, report: Path, tmp_path: Path) -> None:
    text = dom(browser, tmp_path, f"{report.as_uri()}#try?sigma=loud&h=99&colour=red")
    told = numbers(text)
    assert (told["sigma"], told["k"], told["h"]) == (0.3, 4, 3)  # at the end of its range


def test_an_address_opens_its_question(browser: str, report: Path, tmp_path: Path) -> None:
    text = dom(browser, tmp_path, f"{report.as_uri()}#question-theorem")
    opened = re.findall(r'<details class="question" id="question-(\w+)" open', text)
    assert opened == ["where", "theorem"]


def test_moving_a_slider_by_keys_changes_numbers_and_address(browser: str, report: Path, tmp_path: Path) -> None:
    """The script stands in for the reader: an arrow key on a range input fires `input` with the next value."""
    moving = """
      const slider = document.getElementById("try-h");
      slider.focus();
      slider.stepUp(3);
      slider.dispatchEvent(new Event("input", {bubbles: true}));
      document.title = location.hash + " " + document.activeElement.id;
    """
    text = dom(browser, tmp_path, with_script(report, moving, "moved.html").as_uri())
    (title,) = re.findall("<title>(.*?)</title>", text)
    assert unescape(title) == "#try?sigma=0.3&k=4&h=1.3 try-h"
    boundary = numbers(text)["boundary"]
    assert boundary == pytest.approx(one_step.exact(0.3, 4, 1.3).boundary, rel=1e-9)
