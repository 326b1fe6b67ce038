"""The stage of the student's questions: four whole tables, the same each time, and of the seed alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from scorepath.stages.plan import make_plan
from scorepath.stages.questions import questions
from scorepath.store.paths import TABLES
from scorepath.store.tables import COLUMNS, Tables
from scorepath.study.jobs import RULES

NAMES = tuple(Path(result).stem for result in RULES["questions"].results)


def written(folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> dict[str, bytes]:
    folder.mkdir()
    monkeypatch.chdir(folder)
    questions(make_plan({"seed": seed, "environments": ["step"], "estimators": ["pathwise"], "noise_levels": [0.5]}))
    return {name: (TABLES / f"{name}.csv").read_bytes() for name in NAMES}


def test_the_tables_are_whole_and_depend_on_the_seed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = written(tmp_path / "first", monkeypatch, seed=7)
    for name in NAMES:
        table = Tables(tmp_path / "first" / TABLES).read(name)
        assert list(table.columns) == COLUMNS[name]
        assert len(table) > 0
        assert not table.drop(columns=["step", "expected"], errors="ignore").isna().all().any(), name
    assert written(tmp_path / "again", monkeypatch, seed=7) == first
    other = written(tmp_path / "other", monkeypatch, seed=8)
    # the figure's random numbers are those of a script that knows no seed
    assert {name for name in NAMES if other[name] == first[name]} == {"student_figure"}
