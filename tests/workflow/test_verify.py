"""`scorepath verify`: identical results pass, a planted difference is found, and the study is left as it is."""

from __future__ import annotations

import hashlib
import json

import pytest
from tests.helpers.project import Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
CELL, OTHER = (f"gradients/swing/{name}/sigma=0.5.csv" for name in ("inverse_variance", "leave_one_out"))


def state(project: Project) -> dict[str, tuple[bytes, int]]:
    """Bytes and times of every file; what Python caches apart."""
    return {
        path.as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in project.folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def plant(project: Project, name: str, *, record: bool) -> tuple[str, str]:
    """Change one digit of a CSV result's last row, with or without a record that matches; before and after."""
    path = project.path(f"results/{name}")
    lines = path.read_text().splitlines()
    values = lines[-1].split(",")
    column = lines[0].split(",").index("variance")
    before = values[column]
    digit = before[-1]
    values[column] = before[:-1] + str((int(digit) + 1) % 10)
    lines[-1] = ",".join(values)
    path.write_text("\n".join(lines) + "\n")
    if record:
        kept = project.path(f"results/records/{name}.json")
        content = json.loads(kept.read_text()) | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        kept.write_text(json.dumps(content))
    return before, values[column]


def test_a_whole_study_is_verified_and_left_alone(finished: Project) -> None:
    before = state(finished)
    ended = finished.execute("scorepath", "verify", "--all", "--cores", "2")
    assert ended.status == 0, ended.output
    assert state(finished) == before
    for rule, count in {
        "reference_policies": 3,
        "reference": 6,
        "exact_curves": 3,
        "signals": 3,
        "probes": 3,
        "landscapes": 3,
        "gradients": 15,
        "train": 2,
    }.items():
        assert f"{rule}: {count} of {count} identical (the study has {count})" in ended.output
    assert "All 38 identical, byte for byte" in ended.output
    assert "Note:" not in ended.output


def test_planted_differences_are_found(finished: Project) -> None:
    """Whether or not the record was made to match."""
    planted = {cell: plant(finished, cell, record=record) for cell, record in ((CELL, True), (OTHER, False))}
    before = state(finished)
    ended = finished.execute("scorepath", "verify", "--all", "--cores", "2")
    assert ended.status == 1
    assert state(finished) == before
    for cell, (old, new) in planted.items():
        row = finished.path(f"results/{cell}").read_text().count("\n") - 1
        assert f"results/{cell}: row {row}, column variance: {new} is stored, {old} was computed" in ended.output
        assert f"    scorepath gradients swing {cell.split('/')[2]} 0.5\n" in ended.output
    assert "gradients: 13 of 15 identical" in ended.output
    assert "scorepath: 2 of 38 results are not what their commands compute" in ended.output


def test_a_sample_is_printed_and_can_be_taken_again(finished: Project) -> None:
    first = finished.execute("scorepath", "verify", "--cores", "2")
    assert first.status == 0, first.output
    assert "Computing 9 of 38 results again: seed " in first.output
    seed = first.output.partition("seed ")[2].partition(",")[0]
    again = finished.execute("scorepath", "verify", "--cores", "2", "--seed", seed)
    assert again.output == first.output


def test_other_circumstances_are_said(finished: Project) -> None:
    for path in finished.path("results/records").rglob("*.json"):
        content = json.loads(path.read_text())
        content["versions"]["torch"] = "1.0"
        path.write_text(json.dumps(content | {"processor": "an abacus"}))
    ended = finished.execute("scorepath", "verify", "--cores", "2")
    assert ended.status == 0, ended.output
    assert "Note: 9 of these 9 results were made with torch 1.0; now it is " in ended.output
    assert "made with processor an abacus; now it is " in ended.output


def test_what_cannot_be_verified_is_said_in_one_sentence(finished: Project, fresh: Project) -> None:
    cases = [
        (fresh, [], "results/plan.json does not exist yet"),
        (finished, ["--fraction", "0"], "--fraction must be above 0"),
        (finished, ["--cores", "0"], "--cores must be at least 1"),
    ]
    for project, arguments, words in cases:
        ended = project.execute("scorepath", "verify", *arguments)
        assert (ended.status, len(ended.output.splitlines())) == (1, 1), ended.output
        assert words in ended.output
    finished.append("src/scorepath/rollout.py", "\n# a remark\n")
    ended = finished.execute("scorepath", "verify")
    assert ended.status == 1
    assert "the sources are not those that results/plan.json was made with" in ended.output
    assert len(ended.output.splitlines()) == 1, ended.output
    assert fresh.execute("scorepath", "plan").status == 0
    ended = fresh.execute("scorepath", "verify")
    assert "there are no results to verify" in ended.output


def test_a_study_with_a_gap_is_verified_around_it(finished: Project) -> None:
    finished.path(f"results/{CELL}").unlink()
    ended = finished.execute("scorepath", "verify", "--all", "--cores", "2")
    assert ended.status == 0, ended.output
    assert "gradients: 14 of 14 identical (the study has 14; 1 have no result)" in ended.output
