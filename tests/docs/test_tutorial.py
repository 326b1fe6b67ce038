"""The tutorial's code runs as it stands there, and prints what stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from scorepath.stages.plan import make_plan

TEXT = (Path(__file__).parents[2] / "docs/tutorial.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"```(python|text|yaml)\n(.*?)```", TEXT, re.DOTALL)
NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:e[-+]\d+)?")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the reader works: with tank.py."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (source,) = (code for kind, code in BLOCKS if kind == "python" and "class Tank" in code)
    (tmp_path / "tank.py").write_text(source, encoding="utf-8")
    return tmp_path


def test_the_code_prints_what_the_page_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    compared = 0
    for (kind, code), (after, said) in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True):
        if kind != "python" or "class Tank" in code:
            continue
        exec(compile(code, "tutorial.md", "exec"), names)
        printed = capsys.readouterr().out
        assert after == "text"
        assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", said).split()  # lines are folded on the page
        found, expected = (list(map(float, NUMBER.findall(text))) for text in (printed, said))
        # another processor changes last digits; a U-statistic near zero is all last digits
        assert found == pytest.approx(expected, rel=0.03, abs=0.01)
        compared += 1
    assert compared == 3


def test_the_study_has_the_jobs_that_the_page_says(folder: Path) -> None:
    (study,) = (text for kind, text in BLOCKS if kind == "yaml")
    plan = make_plan(yaml.safe_load(study))
    assert (len(plan.running("gradients")), len(plan.running("training"))) == (18, 6)
    assert "18 gradient cells" in TEXT
    assert "six training cells" in TEXT
