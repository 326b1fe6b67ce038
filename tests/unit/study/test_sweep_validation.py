"""A wrong sweep is answered with one sentence that names the key and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from scorepath.stages.plan import make_plan
from scorepath.study.wording import ConfigError

GOOD = {"name": "ramps", "family": "soft_step", "axes": {"sigma": [0.1, "2e-1"], "width": [0.1, 0.2]}}


def planned(**changes: Any) -> Any:
    sweep = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    config = {"noise_levels": [0.1], "environments": ["cosine"], "estimators": ["reinforce", "pathwise"]}
    return make_plan({**config, "sweeps": [sweep]}).study.sweeps["ramps"]


def test_axes_make_points_and_defaults_are_filled_in() -> None:
    sweep = planned()
    assert list(sweep.points) == [f"sigma={s},width={w}" for s in ("0.1", "0.2") for w in ("0.1", "0.2")]
    assert (sweep.rivals, sweep.quantity, sweep.batch_size, sweep.batches) == (("reinforce",), "variance", 64, 32)
    point = sweep.points["sigma=0.2,width=0.1"]
    assert (point.sigma, point.knobs, point.batch_size, point.checkpoint) == (0.2, {"width": 0.1}, 64, 0.0)


def test_matrices_of_one_number_lie_on_axes() -> None:
    sweep = planned(family="lqr", axes={"horizon": [2, 4], "dynamics": [[[0.5]], [[0.9]]]})
    assert "horizon=4,dynamics=0.9" in sweep.points


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"family": "soft_stp"}, "sweeps[0].family: there is no environment family 'soft_stp'. Did you mean"),
        ({"axes": {"widht": [1, 2]}}, "Did you mean 'width'?"),
        ({"axes": {}}, "sweeps[0].axes has 0 entries, but must have at least 1"),
        ({"axes": {"sigma": [0.2, 0.1]}}, "sweeps[0].axes.sigma[1] is 0.1, but the values must increase"),
        ({"axes": {"sigma": [0.1]}}, "sweeps[0].axes.sigma must be a list of two values at least"),
        ({"axes": {"sigma": [0, 0.1]}}, "must be a positive number"),
        ({"axes": {"checkpoint": [0, 1]}}, "must be a fraction in [0, 1)"),
        ({"axes": {"batch_size": [1, 4]}}, "must be a whole number of two at least"),
        ({"sigma": 0.3}, "sweeps[0].axes.sigma is an axis, and sigma is given besides"),
        ({"edges": 0.3}, "Did you mean 'edge'?"),
        ({"over": {"edge": 2}}, "a number of seeds from 3"),
        ({"over": {"edge": 5}}, "sweeps[0].over.edge is a number of seeds to draw, but edge is no seed"),
        ({"over": {"edge": [0, 0.0]}}, "sweeps[0].over.edge[1] is 0.0 again; give each value once"),
        ({"axes": {"sigma": [0.1, 0.1000000001]}}, "which agrees with the value before it in six digits"),
        ({"family": "grid", "axes": {"cliff": [False, True]}}, "sweeps[0].axes.cliff[0] must be a number"),
        ({"over": {"edge": [0.0]}, "edge": 1.0}, "sweeps[0].edge is given, but is averaged over as well"),
        ({"rivals": ["reinfroce"]}, "Did you mean 'reinforce'?"),
        ({"rivals": ["pathwise"]}, "a sweep holds pathwise against each rival once"),
        ({"quantity": "bias"}, "must be one of variance, second_moment, squared_error, flat_batches"),
        ({"width": None, "axes": {"sigma": [0.1, 0.2]}, "edge": "x"}, "sweeps[0].edge must be a number"),
        ({"axes": {"width": [-1, 1]}}, "sweeps[0] (ramps) at width=-1: width must be positive"),
        ({"family": "chain", "axes": {"sigma": [0.5, 1]}}, "pathwise cannot be measured there"),
        ({"name": "a/b"}, "it becomes a file name"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        planned(**changes)
    assert said in str(refused.value)
