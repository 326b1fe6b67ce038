"""A study's results are read only if they are whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.helpers.results import RESULT, flip, make
from tests.helpers.small_studies import small_plan

from scorepath.stages._measurements import Measurements, Place, read_columns, read_rows
from scorepath.stages._references import Reference
from scorepath.stages._summaries import regrets_table
from scorepath.stages._verdicts import gradient_verdicts
from scorepath.stages.gradients import gradients
from scorepath.stages.reference import reference
from scorepath.stages.reference_policies import reference_policies
from scorepath.stages.tables import gradient_statistics_table

pytestmark = pytest.mark.usefixtures("folder")


def test_columns_are_those_of_the_rows() -> None:
    make(RESULT)
    rows, columns = read_rows(RESULT), read_columns([RESULT])[0]
    assert list(columns) == list(rows.columns)
    for name, values in columns.items():
        assert values.tolist() == rows[name].tolist()


@pytest.mark.parametrize("read", [read_rows, lambda path: read_columns([path])])
def test_a_result_that_changed_is_refused(read: Callable[[Path], object]) -> None:
    make(RESULT)
    flip(RESULT)
    with pytest.raises(ValueError, match=r"sigma=0.1.csv is damaged.*`scorepath repair`"):
        read(RESULT)


@pytest.mark.parametrize("text", ["", "a,b\n", "a,b\n1,2\n3"])
@pytest.mark.parametrize("read", [read_rows, lambda path: read_columns([path])])
def test_a_result_that_was_cut_off_is_refused(read: Callable[[Path], object], text: str) -> None:
    """Of a file without a record, say."""
    RESULT.parent.mkdir(parents=True)
    RESULT.write_text(text)
    with pytest.raises(ValueError, match=r"sigma=0.1.csv is cut off"):
        read(RESULT)


@pytest.mark.parametrize("text", ["a,b\n1,2\n3\n", "a,b\n1,2\n3,4,5\n", "a,b\n1,x\n"])
def test_columns_of_what_is_no_table_of_numbers_are_refused(text: str) -> None:
    RESULT.parent.mkdir(parents=True)
    RESULT.write_text(text)
    with pytest.raises(ValueError, match=r"sigma=0.1.csv cannot be read"):
        read_columns([RESULT])


def test_of_many_results_read_at_once_each_keeps_its_own_and_a_bad_one_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scorepath.stages._measurements.AT_ONCE", 3)
    RESULT.parent.mkdir(parents=True)
    texts = ["a,b\n1,2\n", "a,b\n3,nan\n5,inf\n", "b,a\n-7e-300,8\n", "a,b\n9,10\n"]
    paths = [RESULT.with_name(f"{index}.csv") for index in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    found = [{name: values.tolist() for name, values in columns.items()} for columns in read_columns(paths)]
    assert [each["a"] for each in found] == [[1], [3, 5], [8], [9]]
    assert str([each["b"] for each in found]) == "[[2.0], [nan, inf], [-7e-300], [10.0]]"
    paths[1].write_text("a,b\n3,4\n,6\n")
    with pytest.raises(ValueError, match=r"1\.csv cannot be read"):
        read_columns(paths)
    assert read_columns([]) == []


def test_rows_are_taken_apart_by_a_column() -> None:
    RESULT.parent.mkdir(parents=True)
    RESULT.write_text("a,b\n0,1\n0,2\n5,3\n")
    (columns,) = read_columns([RESULT])
    assert [(value, rows["b"].tolist()) for value, rows in columns.by("a")] == [(0, [1, 2]), (5, [3])]


def test_environments_with_samples_of_their_own_have_the_rows_that_they_have_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics and outcomes are those of a study in which all have that many; batches are the same random numbers."""
    lqr: dict[str, Any] = {"name": "lqr", "horizon": 3}
    estimators = ["reinforce", "leave_one_out", "pathwise"]
    plans = {
        "mixed": small_plan(["cosine", lqr | {"samples": {"gradients": 64, "references": 320}}], estimators=estimators),
        "cosine": small_plan(["cosine"], estimators=estimators),
        "lqr": small_plan([lqr], estimators=estimators, gradients={"samples": 64, "batch_size": 16}),
    }
    statistics, outcomes = {}, {}
    for name, plan in plans.items():
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        for environment in plan.study.environments:
            reference_policies(plan, environment)
            for sigma in plan.study.noise_levels:
                reference(plan, environment, sigma)
        for cell in plan.running("gradients"):
            gradients(plan, cell.environment, cell.estimator, cell.sigma)
        found = Measurements(plan)
        statistics[name] = gradient_statistics_table(found)
        columns = ["environment", "sigma", "checkpoint", "rival", "value", "value_low", "value_high", "relative_error"]
        outcomes[name] = gradient_verdicts(found, "equal_samples")[columns]
        regrets_table(found, gradient_verdicts(found, "equal_samples"))
    for tables in (statistics, outcomes):
        alone = pd.concat([tables["cosine"], tables["lqr"]], ignore_index=True)
        pd.testing.assert_frame_equal(tables["mixed"], alone, check_exact=True)
    assert set(statistics["mixed"]["samples"]) == {64, 256}


def test_a_jump_refutes_an_environment_whatever_its_policy_and_a_ramp_its_own_place_only() -> None:
    """Two policies at two noise levels and two checkpoints: what is found at one place is said at these."""
    entry = {"name": "pendulum", "family": "pendulum", "horizon": 2, "policy": {"kind": "mlp", "hidden": [2]}}
    plan = small_plan([entry | {"policies": 2}, "quadratic"], estimators=["reinforce", "pathwise"])
    names = list(plan.study.environments)
    places = [Place(name, token, gap) for name in names for token in ("0", "0.1") for gap in (0.0, 0.5)]

    def said(found: Place, share: float) -> list[Place]:
        measurements = Measurements(plan)
        measurements.__dict__["_stored"] = {
            (name, token): Reference(
                torch.zeros(2, 1, 1), np.zeros(2), "closed_form", [True] * 2, ["exact"] * 2, ["closed_form"] * 2,
                np.zeros(2), True, ["found" if found == (name, token, gap) else "" for gap in (0.0, 0.5)],
                np.array([share if found == (name, token, gap) else 0.0 for gap in (0.0, 0.5)]), 0,
            )
            for name in names for token in ("0", "0.1")
        }  # fmt: skip
        return [place for place in places if measurements.blindness(place) == "found"]

    there = Place(names[1], "0.1", 0.5)
    assert there.environment != "pendulum"
    assert said(there, share=1e-5) == [there]
    assert said(there, share=0.0) == [place for place in places if place.environment != "quadratic"]
