"""The optimisers: the schema lists those that training has, and each of them does to a member what torch's does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tests.helpers.small_studies import small_plan

from scorepath.environments.base import make_policy
from scorepath.environments.lqr import LQR
from scorepath.estimators.pathwise import Pathwise
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator
from scorepath.stages.train import train
from scorepath.store.paths import cell_path
from scorepath.study.validation import MOMENTUM, SCHEMA_PATH, validate
from scorepath.study.wording import ConfigError
from scorepath.training import OPTIMISERS, Trainer

LISTED = yaml.safe_load(SCHEMA_PATH.read_text())["properties"]["training"]["properties"]["optimiser"]["enum"]
WITHOUT = [name for name in OPTIMISERS if name not in MOMENTUM]
SIGMA, SAMPLES, ITERATIONS, SEED = 0.3, 8, 6, "0"


def settings(**training: Any) -> dict[str, Any]:
    """The training section as validation leaves it."""
    bare = {"noise_levels": [0.1], "environments": ["here"], "estimators": ["way"], "training": training}
    checked: dict[str, Any] = validate(bare, {"here": {}}, {"way": {}})["training"]
    return checked


def trainer(name: str, momentum: float | None) -> Trainer:
    environment = LQR(horizon=3)
    stream = Stream(1, "test", "training")
    return Trainer(
        environment, make_policy(environment), Pathwise(), SIGMA, stream, name, SAMPLES, ITERATIONS, momentum
    )


# --- what a configuration may say -------------------------------------------------------------------------------------


def test_the_schema_lists_the_optimisers_that_training_has() -> None:
    assert sorted(LISTED) == sorted(OPTIMISERS)
    assert set(MOMENTUM) <= set(OPTIMISERS)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "SGD"])
def test_torchs_own_spelling_will_do(name: str) -> None:
    assert issubclass(getattr(torch.optim, name), torch.optim.Optimizer)
    assert settings(optimiser=name)["optimiser"] == name.lower()


@pytest.mark.parametrize("name", MOMENTUM)
def test_a_momentum_has_its_optimisers_default(name: str) -> None:
    assert settings(optimiser=name)["momentum"] == MOMENTUM[name]
    assert settings(optimiser=name, momentum="0.25")["momentum"] == 0.25


@pytest.mark.parametrize("name", WITHOUT)
def test_a_momentum_belongs_to_some_optimisers_only(name: str) -> None:
    assert "momentum" not in settings(optimiser=name)
    with pytest.raises(ConfigError, match=rf"training\.momentum belongs to .*rmsprop, sgd.*{name}"):
        settings(optimiser=name, momentum=0.9)


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"optimiser": "lion"}, "one of adam, adamw, rmsprop, sgd"),
        ({"optimiser": "sgd", "momentum": 1}, "less than 1"),
        ({"optimiser": "sgd", "momentum": -0.1}, "negative"),
        ({"optimiser": 3}, "a name"),
    ],
)
def test_what_is_refused(training: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        settings(**training)


def test_a_cells_digest_knows_the_optimiser_and_its_momentum() -> None:
    variants: list[dict[str, Any]] = [
        {"optimiser": "adam"},
        {"optimiser": "adamw"},
        {"optimiser": "sgd"},
        {"optimiser": "sgd", "momentum": 0.5},
    ]
    cells = [small_plan(["relu"], training=variant).running("training") for variant in variants]
    assert len({found[-1].digest for found in cells}) == len(variants)


@pytest.mark.parametrize("part", ["environments", "estimators", "noise_levels"])
def test_a_study_may_train_nothing(part: str) -> None:
    plan = small_plan(["relu"], training={part: []})
    assert plan.running("gradients")
    assert not [cell for cell in plan.cells if cell.stage == "training"]


# --- what they do -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "momentum"), [*((name, None) for name in WITHOUT), ("sgd", 0.9), ("sgd", 0.0), ("rmsprop", 0.5)]
)
def test_a_member_takes_the_steps_of_torchs_own_optimiser(name: str, momentum: float | None) -> None:
    """Whoever else is in the population: here another rate and another seed."""
    shared, rate = trainer(name, momentum), 0.02
    found = shared.run((0.5, rate), ["other", SEED]).gradient_norms[:, 1, 1]

    policy = shared.policy
    start = policy.initial_parameters(shared.stream.generator(SEED, "initial parameters")).float()
    parameters = start.clone()
    options = {} if momentum is None else {"momentum": momentum}
    optimiser = OPTIMISERS[name]([parameters], lr=rate, **options)
    expected = [0.0]
    for iteration in range(ITERATIONS):
        noise = Noise(shared.environment, shared.stream, [f"{SEED}/{iteration}"], SAMPLES)
        gradient, _ = Pathwise().estimate(Simulator(shared.environment, policy, parameters[None], SIGMA), noise)
        expected.append(gradient.norm().item())
        parameters.grad = -gradient[0]
        optimiser.step()
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert not torch.equal(parameters, start)


def test_the_momentum_matters() -> None:
    one, other = (trainer("sgd", momentum).run((0.02,), [SEED]).stochastic for momentum in (0.0, 0.9))
    np.testing.assert_array_equal(one[:2], other[:2])  # the first step has no past
    assert (one[2:] != other[2:]).all()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_cell_is_trained_with_each(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = {"optimiser": name, "extension": 0, "seeds": 3, "iterations": 2, "learning_rates": [0.1]}
    train(small_plan(["relu"], training=small), "relu", "reinforce", 0.1)
    lines = cell_path("training", "relu", "reinforce", 0.1).read_text().splitlines()
    assert len(lines) == 1 + 3 * 3  # a header; a start and two steps of each seed
