"""A gradient cell: its bytes do not depend on what else a study has."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.small_studies import small_plan

from scorepath.stages.gradients import gradients as measure_cell
from scorepath.stages.reference import reference
from scorepath.stages.reference_policies import reference_policies
from scorepath.store.paths import cell_path


def test_other_cells_change_no_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes of a cell are the same alone and in a larger study, whatever ran before it."""
    results = []
    for number, (estimators, levels) in enumerate(
        [
            (("state_value_baseline",), (0.3,)),
            (("reinforce", "pathwise", "state_value_baseline"), (0.1, 0.3)),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        plan = small_plan(
            [{"name": "lqr", "horizon": 4}],
            estimators=list(estimators),
            noise_levels=list(levels),
            gradients={"samples": 64, "batch_size": 8},
        )
        reference_policies(plan, "lqr")
        for sigma in levels:
            reference(plan, "lqr", sigma)
            for method in estimators:
                measure_cell(plan, "lqr", method, sigma)
        results.append((folder / cell_path("gradients", "lqr", "state_value_baseline", 0.3)).read_bytes())
    assert results[0] == results[1]
    assert results[0].count(b"\n") == 1 + 2 * 8
