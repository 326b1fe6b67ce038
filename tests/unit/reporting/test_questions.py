"""The student's questions on the page: what they say comes from the tables, and the code among them runs."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
import torch
from tests.helpers.small_tables import write_tables

from scorepath.figures import FIGURES
from scorepath.questions import swing
from scorepath.reporting.page import render_report
from scorepath.reporting.questions import cheaper, question_facts
from scorepath.store.tables import Tables

SCRIPT = Path(__file__).parents[3] / "src/scorepath/reporting/templates/questions.js"
STYLE = SCRIPT.with_suffix(".css")
ANCHORS = ["where", "zero", "limit", "variable", "constant", "total", "theorem", "deterministic", "use"]


def section(tables: Path) -> str:
    render_report(Tables(tables), tables.parent / "figures", None, tables.parent / "report.html", {})
    text = (tables.parent / "report.html").read_text(encoding="utf-8")
    return text[text.index('<section id="question"') : text.index("</section>", text.index('<section id="question"'))]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return section(write_tables(tmp_path_factory.mktemp("study") / "tables"))


def test_every_question_has_an_address_and_the_first_is_open(text: str) -> None:
    found = re.findall(r'<details class="question" id="question-(\w+)"( open)?>\s*<summary>', text)
    assert [name for name, _ in found] == ANCHORS
    assert [bool(is_open) for _, is_open in found] == [True] + [False] * (len(ANCHORS) - 1)


def test_answers_are_short(text: str) -> None:
    """Prose only: neither formulas nor tables, figures or code."""
    for answer in re.findall(r'<details class="question".*?</details>', text, re.DOTALL):
        prose = re.sub(r"<(math|table|figure|pre|summary)\b.*?</\1>", " ", answer, flags=re.DOTALL)
        prose = re.sub(r"</?(i|sub|sup|a|code|small|strong)\b[^>]*>", "", prose)
        assert 60 <= len(re.sub(r"<[^>]*>", " ", prose).split()) <= 180, answer[:80]


def test_every_formula_has_words(text: str) -> None:
    formulas = re.findall(r"<math\b[^>]*>", text)
    assert len(formulas) > 20
    assert all(re.search(r'alttext="[^"]{5,}"', formula) for formula in formulas)


def test_numbers_in_the_text_are_those_of_the_tables(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables")
    limit = pd.read_csv(tables / "student_limit.csv")
    limit["gradient"] = [-4.321 if sigma == 0.1 else -8.4 for sigma in limit["sigma"]]
    limit.loc[limit["estimator"] == "reinforce", "needed_exact"] = 400.0
    limit.to_csv(tables / "student_limit.csv", index=False)
    theorem = pd.read_csv(tables / "student_theorem.csv")
    theorem["difference"] = [0.0, -3e-5, 1e-6]
    theorem.loc[0, ["reinforce_low", "reinforce_high"]] = 0.2, 0.3
    theorem.to_csv(tables / "student_theorem.csv", index=False)
    text = " ".join(re.sub(r"<[^>]*>", "", section(tables)).split())
    assert "the gradient is −4.321; 512 samples give" in text
    assert "at σ = 0.1 pathwise needs 10 times fewer samples, at σ = 1 pathwise 10 times fewer." in text
    assert "by 3×10⁻⁵ at most" in text
    assert "REINFORCE contain it in 2 of 3 rows, those of reward-to-go contain it in 3 of 3 rows" in text
    assert "the variance of leave-one-out REINFORCE is 7 [6, 8] times that of pathwise" in text
    assert "by 48.6 % at σ = 0.1" in text


def test_without_tables_the_answers_stand_without_numbers(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    text = section(tmp_path / "tables")
    assert text.count("<details") == len(ANCHORS)
    assert "nan" not in re.sub(r"<[^>]*>", "", text).lower().split()
    facts = question_facts(Tables(tmp_path / "tables"))
    assert facts["gap"] is None
    assert cheaper(facts["limit"]) == []


def test_the_ten_lines_are_ten_and_run(text: str) -> None:
    """They differentiate the world that the questions measure, and climb its return."""
    (block,) = re.findall(r'<pre id="ten-lines"[^>]*><code>(.*?)</code>', text, re.DOTALL)
    code = unescape(block)
    assert len([line for line in code.splitlines() if line and not line.startswith("import")]) == 10
    torch.manual_seed(0)
    names: dict[str, object] = {}
    once = code.replace("range(100)", "range(1)").replace("64", "4096")
    exec(compile(once, "ten lines", "exec"), names)
    theta = names["theta"]
    assert isinstance(theta, torch.Tensor)
    assert theta.grad is not None
    # pathwise's standard deviation is 0.6 there, so 4096 samples have an error of 0.01; sigma adds a few hundredths
    assert -theta.grad.item() == pytest.approx(swing.total_derivative(swing.GAIN).whole, abs=0.2)
    exec(compile(code, "ten lines", "exec"), names)
    theta = names["theta"]
    assert isinstance(theta, torch.Tensor)
    start, end = (swing.noiseless(torch.tensor(value)).item() for value in (swing.GAIN, theta.item()))
    assert end > start + 20


def test_without_the_script_the_drawn_figure_stands_in_its_place(tmp_path: Path) -> None:
    """What the script fills is hidden until it says that it is alive, and then the drawn figure is."""
    tables = write_tables(tmp_path / "tables")
    FIGURES["one_step"].draw(Tables(tables), tmp_path / "figures" / "one_step.svg")
    text = section(tables)
    assert '<div id="try">' in text
    still = text[text.index('<div class="still">') : text.index("<h3>A student’s questions")]
    assert 'id="figure-one_step"' in still
    style = STYLE.read_text()
    assert "#try form, #try .stage, #try output { display: none; }" in style
    assert "#try.alive .still { display: none; }" in style
    assert 'classList.add("alive")' in SCRIPT.read_text()


def test_the_script_is_small() -> None:
    assert SCRIPT.stat().st_size < 10_240
