"""Landscapes of a small study: rows for every checkpoint and level, gathered, and what the page carries of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tests.helpers.small_studies import small_plan

from scorepath.references.lines import POINTS
from scorepath.reporting.landscapes import embedded_landscapes, embedded_trajectories
from scorepath.stages._references import load_policies, load_reference
from scorepath.stages.landscape_tables import landscape_tables
from scorepath.stages.landscapes import landscapes
from scorepath.stages.reference import reference
from scorepath.stages.reference_policies import reference_policies
from scorepath.store.paths import TABLES
from scorepath.store.tables import Tables
from scorepath.study.cells import Plan

ENVIRONMENTS = [
    {"name": "cosine", "family": "cosine", "frequency": 10.0, "phase": 1.0},
    {"name": "swing", "family": "pendulum", "horizon": 4, "policy": {"kind": "linear"}},
    {"name": "chain", "family": "chain", "states": 4, "horizon": 3},
]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("landscapes"))
        training: dict[str, list[str]] = {"environments": [], "estimators": [], "noise_levels": []}
        made = small_plan(environments=ENVIRONMENTS, estimators=["reinforce", "pathwise"], training=training)
        for name in made.study.environments:
            reference_policies(made, name)
            for sigma in made.study.noise_levels:
                reference(made, name, sigma)
            landscapes(made, name)
        landscape_tables(made)
        yield made


def test_every_checkpoint_has_a_line_at_every_level_through_its_own_return(plan: Plan) -> None:
    table = Tables(TABLES).read("landscapes")
    study = plan.study
    lines = table.groupby(["environment", "checkpoint", "sigma"])
    assert len(lines) == len(study.environments) * len(study.references.return_gaps) * len(study.noise_levels)
    assert (lines.size() == POINTS).all()
    assert (table["along_sigma"] == study.landscape_level("cosine")).all()
    assert study.references.noise_level in study.noise_levels
    own = table[(table["environment"] == "cosine") & (table["distance"] == 0)]
    own = own[own["sigma"] == study.references.noise_level]
    assert own["expected_return"].tolist() == pytest.approx(load_policies("cosine").returns.tolist(), rel=1e-3)
    gradient = load_reference("cosine", study.landscape_level("cosine")).gradients.mean(1)[0].norm().item()
    near = table[(table["environment"] == "cosine") & (table["checkpoint"] == 0)]
    near = near[near["sigma"] == study.landscape_level("cosine")].sort_values("distance")
    (before, after) = near.iloc[[POINTS // 2 - 1, POINTS // 2 + 1]].itertuples()
    slope = (after.expected_return - before.expected_return) / (after.distance - before.distance)
    assert slope == pytest.approx(gradient, rel=0.15)


def test_limits_are_given_where_it_is_sampled(plan: Plan) -> None:
    table = Tables(TABLES).read("landscapes")
    for name, sampled in (("cosine", False), ("swing", True), ("chain", False)):
        own = table[table["environment"] == name]
        assert (own["trajectories"] > 0).all() == sampled
        widths = own["expected_return_high"] - own["expected_return_low"]
        assert (widths > 0).all() == sampled
        middle = own[own["distance"] == 0]
        assert np.allclose(middle["paired_low"], middle["expected_return"], rtol=1e-4)


def test_the_page_carries_lines_and_trajectories_of_several_decisions(plan: Plan) -> None:
    tables = Tables(TABLES)
    lines, trajectories = embedded_landscapes(tables), embedded_trajectories(tables)
    assert set(lines) == {"cosine", "swing", "chain"}
    assert set(trajectories) == {"swing", "chain"}
    checkpoint = next(iter(lines["swing"].values()))
    assert all(len(parts) == 3 and len(parts[0]) == POINTS for parts in checkpoint["lines"].values())
    assert all(len(parts) == 1 for each in lines["cosine"].values() for parts in each["lines"].values())
    first = next(iter(trajectories["swing"].values()))
    assert [len(first["state"][0]), len(first["action"][0]), len(first["reward"][0])] == [5, 4, 4]
    assert len(next(iter(trajectories["chain"].values()))["state"]) == 4
