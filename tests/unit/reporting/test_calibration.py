"""The calibration that report and page show: complete, and the same in both."""

from __future__ import annotations

from typing import Any

from benchmarks.calibration.__main__ import page
from benchmarks.calibration.cells import CELLS
from benchmarks.calibration.gate import NAMES
from benchmarks.calibration.simulated import CART_POLE, CLASSES
from tests.helpers.places import ROOT

from scorepath.reporting.calibration import Entry, recorded, tables


def test_every_class_and_environment_is_recorded() -> None:
    samples, verdicts, cells, gate = tables(recorded())
    for table in (samples, verdicts):
        assert [row[0].text for row in table.rows] == [*(each.name for each in CLASSES), CART_POLE]
    assert [row[0].text for row in cells.rows] == [*CELLS, "all one-step cells"]
    assert [row[0].text for row in gate.rows] == list(NAMES)
    for table in (samples, verdicts, cells, gate):
        assert {len(row) for row in table.rows} == {len(table.head)}


def test_the_page_is_the_datas() -> None:
    """Else run `python -m benchmarks.calibration --page`."""
    found = (ROOT / "docs/calibration.md").read_text(encoding="utf-8")
    assert found == "\n".join(page(recorded())) + "\n"


def test_what_misses_its_aim_by_two_standard_errors_is_marked() -> None:
    names = (
        "passed", "variance", "bare", "ratio_normal", "ratio_itself", "ratio_heavy", "limit", "mean", "unbiased",
        "biased",
    )  # fmt: skip
    row: dict[str, Any] = {name: [0.95, 0.01] for name in names} | {
        "name": "it",
        "wrong_normal": [0.08, 0.01],
        "wrong_itself": [0.06, 0.01],
        "wrong_heavy": [0.01, 0.01],
    }
    row |= {"variance": [0.90, 0.01], "mean": [0.92, 0.01], "ratio_itself": None}
    row |= {"biased": [1.0, 0.01], "limit": [1.0, 0.01], "bare": [0.8, 0.01]}
    cell: dict[str, Any] = {
        name: [0.95, 0.01] for name in ("passed", "variance", "bias", "projection", "ratio", "undecided")
    }
    cell |= {"name": "there", "cells": 2, "wrong": [0.05, 0.01], "decided": 40}
    gates = [
        {"name": "light", "variance": True, "passed": {"1024": [0.8, 0.01], "4096": [1.0, 0.01]}},
        {"name": "without", "variance": False, "passed": {"1024": [0.08, 0.01], "4096": [0.06, 0.01]}},
    ]
    samples, verdicts, cells, gate = tables({"simulated": [row], "cells": [cell], "gate": gates})
    assert samples.rows[0] == [
        Entry("it"), Entry("95"), Entry("90.0 ± 1.0", True), Entry("80.0 ± 1.0"), Entry("95.0 ± 1.0"), Entry("–"),
        Entry("95.0 ± 1.0"),
        Entry("100.0 ± 1.0"), Entry("92.0 ± 1.0"), Entry("95.0 ± 1.0"), Entry("100.0 ± 1.0", True),
    ]  # fmt: skip
    assert verdicts.rows[0][1:] == [Entry("8.0 ± 1.0", True), Entry("6.0 ± 1.0"), Entry("1.0 ± 1.0")]
    assert cells.rows[0][-1] == Entry("5.0 ± 1.0 of 40", True)
    assert gate.head == ["samples", "1,024", "4,096"]
    assert [row[1:] for row in gate.rows] == [
        [Entry("80"), Entry("100")],
        [Entry("8.0 ± 1.0", True), Entry("6.0 ± 1.0")],
    ]
