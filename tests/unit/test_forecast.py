"""The model behind the advisor's probabilities: what it is fitted to, when it abstains, and how it is shipped."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from scorepath.forecast import (
    CAP,
    LEAST,
    LEAST_THRESHOLD,
    MOST,
    Forecast,
    fit,
    held_out,
    probabilities,
    risk_threshold,
    shipped,
    surety,
)

MODEL = Forecast((1.0, 1.0), 0.0, 0.8, 0.1, 100, ("a", "b"))


def test_surety_has_the_sign_of_the_interval_and_grows_as_it_narrows() -> None:
    assert surety(0.2, 0.5) > 1 > surety(-0.1, 0.5) > 0 > surety(-0.5, 0.1)
    assert surety(0.45, 0.55) > surety(0.3, 0.7) == -surety(-0.7, -0.3)
    assert abs(surety(2.9, 2.9)) == MOST


def test_an_end_that_is_not_known_decides_nothing_against_the_other_side() -> None:
    assert surety(math.nan, math.nan) == 0
    assert surety(-math.inf, math.inf) == 0
    assert surety(0.2, math.inf) > 0.9
    assert -0.3 < surety(-math.inf, 2.0) < 0


def test_the_fit_finds_what_the_winner_was_drawn_by() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(4000, 2)) * 2
    wins = generator.random(4000) < 1 / (1 + np.exp(-(0.3 + features @ [1.5, 0.5])))
    families = np.array(list("abcd"))[np.arange(4000) % 4]
    weights, intercept = fit(features, wins, families)
    assert weights == pytest.approx([1.4, 0.47], abs=0.2)  # the penalty takes a little
    assert intercept == pytest.approx(0.3, abs=0.15)


def test_no_weight_is_negative_whatever_the_data_say() -> None:
    features = np.array([[1.0, -1.0], [-1.0, 1.0]] * 10)
    weights, _ = fit(features, features[:, 0] > 0, np.array(["a", "b"] * 10))
    assert weights[0] > 0
    assert weights[1] == 0


def test_families_weigh_the_same_however_many_places_they_have() -> None:
    features, wins = np.zeros((101, 2)), np.array([True] * 100 + [False])
    _, intercept = fit(features, wins, np.array(["many"] * 100 + ["one"]))
    assert intercept == pytest.approx(0, abs=1e-3)


def test_what_is_held_out_is_not_seen() -> None:
    generator = np.random.default_rng(1)
    features, families = generator.normal(size=(60, 2)), np.repeat(["a", "b", "c"], 20)
    wins = features[:, 0] > 0
    before = held_out(features, wins, families, np.zeros(60, bool))
    turned = np.where(families == "c", ~wins, wins)
    after = held_out(features, turned, families, np.zeros(60, bool))
    assert np.array_equal(before[families == "c"], after[families == "c"])
    assert not np.allclose(before[families == "a"], after[families == "a"])


def test_jumps_cap_the_probability() -> None:
    assert MODEL.probability((5.0, 5.0)) == 1 - LEAST
    assert MODEL.probability((5.0, 5.0), jumps=True) == CAP < 0.9
    assert MODEL.probability((-5.0, -5.0), jumps=True) == LEAST
    assert probabilities((1.0, 1.0), 0.0, np.zeros((1, 2)))[0] == 0.5


def test_the_threshold_controls_the_risk_in_new_families() -> None:
    """Over 400 draws of 30 families, the mean loss in a new one stays below the risk (5 standard errors of room)."""
    generator = np.random.default_rng(2)
    losses = []
    for _ in range(400):
        found = generator.uniform(0, 1, (31, 10))
        bent = np.clip(found + generator.normal(0, 0.25, (31, 1)), 0, 1)  # families differ from the model
        wins = generator.random((31, 10)) < bent
        families = np.repeat(np.arange(30).astype(str), 10)
        threshold = risk_threshold(found[:30].ravel(), wins[:30].ravel(), families, 0.1)
        sure = np.maximum(found[30], 1 - found[30]) >= threshold
        losses.append(float((sure & ((found[30] > 0.5) != wins[30])).mean()))
    assert np.mean(losses) < 0.1 + 5 * np.std(losses) / 20
    assert np.mean(losses) > 0.005, "answers are given"


def test_with_few_families_nothing_is_answered() -> None:
    assert risk_threshold(np.array([0.99, 0.01]), np.array([True, False]), np.array(["a", "b"]), 0.1) == 1.0
    families = np.arange(9).astype(str)
    assert risk_threshold(np.full(9, 0.95), np.ones(9, bool), families, 0.1) == LEAST_THRESHOLD


def test_a_model_survives_its_file_and_is_refused_if_changed() -> None:
    text = MODEL.to_json()
    assert Forecast.from_json(text) == MODEL
    content = json.loads(text)
    with pytest.raises(ValueError, match="checksum is not that of its content"):
        Forecast.from_json(json.dumps(content | {"threshold": 0.5}))
    with pytest.raises(ValueError, match="is of version 0"):
        Forecast.from_json(json.dumps(content | {"version": 0}))


def test_the_shipped_model_is_whole() -> None:
    model = shipped()
    assert model.threshold >= LEAST_THRESHOLD
    assert len(model.families) >= 10
    assert model.sha256 == json.loads(model.to_json())["sha256"]
    assert model.probability((3.0, 3.0)) > 0.95
    assert model.probability((-3.0, -3.0)) < 0.05
