"""What is named as deciding, by small tables: each mutant changes one measured quantity, and with it the word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from tests.helpers.small_tables import write_tables

from scorepath.stages._mechanisms import BEST, MECHANISMS, REINFORCE, SENTENCES, mechanisms_table
from scorepath.stages._roughness import _correlations, roughness_table
from scorepath.store.tables import COLUMNS, Tables

SMOOTH: dict[str, Any] = {
    "steps": 20, "coordinates": 20, "return_variance": 1.0, "to_go_variance": 20.0, "slope": 1.0,
    "signal_variance": 0.5, "coherent_variance": 0.5, "residual": 1.0, "cross": 1.0,
    "growth_rate": 0.0, "growth_rate_low": -0.1, "growth_rate_high": 0.1, "growth_steps": 20,
    "expansion_rate": 0.0, "expansion_rate_low": -0.1, "expansion_rate_high": 0.1,
}  # fmt: skip
ROUGH = SMOOTH | {"slope": 1e4, "signal_variance": 1e4, "coherent_variance": 1e4, "cross": 10.0}
GROWING = {"growth_rate": 0.5, "growth_rate_low": 0.4, "growth_rate_high": 0.6}
EXPANDING = GROWING | {"expansion_rate": 0.5, "expansion_rate_low": 0.4, "expansion_rate_high": 0.6}
CHAOTIC = ROUGH | EXPANDING
SEEN = {
    "proved_unbiased": True, "squared_bias": 0.0, "squared_bias_low": 0.0, "zero_fraction": 0.0, "variance": 400.0,
    "mse_equal_samples": 6.0,
}  # fmt: skip
"""A pathwise gradient that sees everything, with the larger variance."""


def named(
    folder: Path, moments: dict[str, Any], lost: bool, pathwise: dict[str, Any] | None = None,
    rival: dict[str, Any] | None = None, comparison: str = BEST, verdict: dict[str, Any] | None = None,
) -> pd.Series:  # fmt: skip
    """The row of one place of the small study in which pathwise loses or wins, with some numbers changed."""
    name = "place"
    write_tables(folder, (name,), losers=(name,) if lost else ())
    statistics = pd.read_csv(folder / "gradient_statistics.csv")
    for estimator, changes in (("pathwise", pathwise), ("reinforce", rival)):
        for column, value in (changes or {}).items():
            if column not in statistics:
                statistics[column] = ""
            statistics.loc[statistics["estimator"] == estimator, column] = value
    statistics.to_csv(folder / "gradient_statistics.csv", index=False)
    for table in ("verdicts", "verdicts_compute"):
        rows = pd.read_csv(folder / f"{table}.csv")
        for column, value in (verdict or {}).items():
            wanted, _, field = column.rpartition("/")
            rows.loc[(rows["criterion"] == (wanted or "equal_samples")) & (rows["comparison"] == BEST), field] = value
        rows.to_csv(folder / f"{table}.csv", index=False)
    signals = pd.DataFrame([
        {"environment": name, "sigma": sigma, "checkpoint": checkpoint} | moments
        for sigma in (0.1, 1.0) for checkpoint in (0.0, 0.5)
    ])  # fmt: skip
    rows = mechanisms_table(Tables(folder), signals)
    assert list(rows.columns) == COLUMNS["mechanisms"]
    return rows[(rows["comparison"] == comparison) & (rows["sigma"] == 0.1)].iloc[0]


@pytest.mark.parametrize(
    ("word", "moments", "lost", "changes"),
    [
        ("missing boundary term", SMOOTH, True, {}),
        ("missing boundary term", CHAOTIC, True, {"pathwise": {"zero_fraction": 0.0, "variance": 3.0}}),
        ("roughness", ROUGH, True, {"pathwise": SEEN}),
        ("growth", CHAOTIC, True, {"pathwise": SEEN}),
        ("roughness", ROUGH | GROWING, True, {"pathwise": SEEN}),
        ("tails", CHAOTIC, True, {"pathwise": SEEN | {"tail_share": 0.8}}),
        ("tails", SMOOTH, False, {"rival": {"tail_share": 0.8}}),
        ("tails", SMOOTH, True, {"pathwise": SEEN, "verdict": {"verdict": "not_measurable"}}),
        ("precision", ROUGH, True, {"pathwise": SEEN | {"dtype": "float32", "float32_relative_error": 1.0}}),
        ("cost", ROUGH, True, {"pathwise": SEEN, "verdict": {"equal_compute/verdict": "pathwise"}}),
        ("score noise", SMOOTH, False, {}),
        ("score noise", SMOOTH | EXPANDING, False, {}),
        ("rival's bias", SMOOTH, False, {"rival": {"proved_unbiased": False, "squared_bias": 6.0}}),
        ("both too noisy", SMOOTH, False, {"verdict": {"verdict": "neither_usable"}}),
        ("balance", SMOOTH, False, {"verdict": {"verdict": "undecided"}}),
        ("exact", SMOOTH, False, {"pathwise": {"variance": 0.0}}),
        ("unexplained", ROUGH, False, {}),
        ("unexplained", SMOOTH, True, {"pathwise": SEEN}),
    ],
)
def test_the_word_follows_the_measurements(
    word: str, moments: dict[str, Any], lost: bool, changes: dict[str, Any], tmp_path: Path
) -> None:
    row = named(tmp_path, moments, lost, **changes)
    assert row["mechanism"] == word
    assert row["sentence"].endswith(".")
    assert "nan" not in row["sentence"]


def test_a_win_over_reinforce_alone_is_its_missing_baseline(tmp_path: Path) -> None:
    row = named(tmp_path, SMOOTH, False, comparison=REINFORCE, verdict={"verdict": "score_function", "value": -0.5})
    assert row["mechanism"] == "missing baseline"
    assert row["baseline_gain"] == pytest.approx(1.5)


def test_a_bias_that_chance_could_give_is_no_boundary_term(tmp_path: Path) -> None:
    shown = {"zero_fraction": 0.0, "variance": 3.0, "bias_p_value": 0.02}
    assert named(tmp_path, ROUGH, True, pathwise=shown)["mechanism"] == "roughness"


@pytest.mark.parametrize(
    ("moments", "told"),
    [
        (SMOOTH, ""),
        (SMOOTH | EXPANDING, " Pathwise’s signals grow by 4.1 decades over the horizon, the score function’s noise with"
                             " them: unstable, not chaotic."),
        # of sums of rewards, as of an integrator, and of a state that decays
        (SMOOTH | GROWING, " Pathwise’s signals grow by 4.1 decades over the horizon."),
        # of a delay of 15 steps, whose last signals are exactly 0: the rate is that of 5 steps
        (SMOOTH | GROWING | {"growth_steps": 5}, ""),
    ],
)  # fmt: skip
def test_only_dynamics_that_expand_are_called_unstable(moments: dict[str, Any], told: str, tmp_path: Path) -> None:
    assert named(tmp_path, moments, False)["sentence"].rpartition("by the curvature.")[2] == told


def test_every_mechanism_has_a_sentence() -> None:
    assert set(MECHANISMS) == set(SENTENCES)


def places(names: list[str], noise: float, flipped: tuple[str, ...] = ()) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Places where the roughness number tells the ratio of errors, up to a noise; in `flipped` the opposite."""
    generator = np.random.default_rng(0)
    ratios = pd.DataFrame([
        {"environment": name, "sigma": sigma, "checkpoint": 0.0, "told": generator.uniform(-3, 3)}
        for name in names for sigma in (0.01, 0.03, 0.1, 0.3, 1.0)
    ])  # fmt: skip
    signals = pd.concat([ratios.drop(columns="told"), pd.DataFrame([SMOOTH] * len(ratios))], axis=1)
    variance = 20 / 10 ** ratios["told"]
    signals = signals.assign(signal_variance=variance, coherent_variance=1 / generator.uniform(0.1, 1, len(ratios)))
    sign = np.where(ratios["environment"].isin(flipped), -1, 1)
    value = sign * ratios["told"] + noise * generator.standard_normal(len(ratios))
    rows = ratios.drop(columns="told").assign(comparison=BEST, verdict="pathwise", value=value, mechanism="score noise")
    return rows.reindex(columns=COLUMNS["mechanisms"]), signals


NAMES = [f"place_{index}" for index in range(12)]


def test_the_number_is_chosen_on_half_and_tried_on_the_other() -> None:
    mechanisms, signals = places(NAMES, 0.1, flipped=tuple(NAMES[1::2]))
    found, filled = roughness_table(mechanisms, signals, {n: n for n in NAMES}, {n: n for n in NAMES}, 100, 0)
    own = found[(found["choice"] == 1) & (found["scope"] == "without jumps and tails")].set_index("part")
    assert set(own["number"]) <= {"roughness", "to_go"}  # they are the same where rewards to go are
    assert own.loc["choosing", "rank_correlation"] > 0.9
    assert own.loc["held_out", "rank_correlation"] < -0.9, "what it was chosen on must not flatter it"
    assert own.loc["held_out", "rank_correlation_high"] < 0
    assert own.loc["held_out", "environments"] == 6
    assert set(filled["family"]) == set(NAMES)
    assert filled["predicted"].notna().all()


def test_jumps_and_tails_are_told_apart() -> None:
    mechanisms, signals = places(NAMES, 0.1)
    broken = mechanisms["environment"] == NAMES[1]
    mechanisms = mechanisms.assign(
        value=mechanisms["value"].where(~broken, -9.0),
        mechanism=mechanisms["mechanism"].where(~broken, "missing boundary term"),
    )
    found, _ = roughness_table(mechanisms, signals, {n: n for n in NAMES}, {n: n for n in NAMES}, 100, 0)
    own = found[(found["choice"] == 1) & (found["part"] == "held_out")].set_index("scope")
    assert own.loc["without jumps and tails", "places"] == 25
    assert own.loc["all", "places"] == 30
    assert own.loc["without jumps and tails", "rank_correlation"] > own.loc["all", "rank_correlation"]


def test_without_signals_there_are_mechanisms_but_no_numbers(tmp_path: Path) -> None:
    write_tables(tmp_path)
    none = pd.DataFrame(
        {name: pd.Series(dtype=object if name == "environment" else float) for name in COLUMNS["signals"]}
    )
    mechanisms = mechanisms_table(Tables(tmp_path), none)
    assert set(mechanisms["mechanism"]) == {"missing boundary term", "unexplained"}
    found, filled = roughness_table(mechanisms, none, {"smooth": "a", "edge": "b"}, {"smooth": "smooth"}, 10, 0)
    assert found["rank_correlation"].isna().all()
    assert filled["predicted"].isna().all()


def test_rank_correlations_of_resamples_are_spearmans() -> None:
    generator = np.random.default_rng(3)
    pairs = generator.integers(6, size=(40, 2)).astype(float)  # with ties
    counts = generator.integers(4, size=(5, 40))
    found = _correlations(pairs, counts.astype(float))
    for own, correlation in zip(counts, found, strict=True):
        assert correlation == pytest.approx(spearmanr(*pairs.repeat(own, axis=0).T).statistic, abs=1e-12)
