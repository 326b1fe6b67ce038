"""The study's verdicts: at every place pathwise against its rivals, by gradient error and by what was learnt.

Who is compared goes by method and family, never by the name that a configuration gives an estimator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scorepath.noise import Stream
from scorepath.stages._measurements import Measured, Measurements
from scorepath.statistics import bootstrap_indices
from scorepath.store.paths import Stage, sigma_token
from scorepath.store.tables import COLUMNS
from scorepath.unbiasedness import both, with_room
from scorepath.verdicts import (
    Outcome,
    compare_errors,
    compare_scores,
    decide,
    normalised_scores,
    smallest_error,
)

if TYPE_CHECKING:
    from scorepath.study.cells import Cell, Plan

AGAINST_REINFORCE = "pathwise_vs_reinforce"
BEST = "pathwise_vs_best_score_function"
COMPARISONS = (AGAINST_REINFORCE, BEST)
SIDES = {"pathwise": "pathwise", AGAINST_REINFORCE: "reinforce", BEST: "score-function estimator"}
"""What stands on one side of every comparison, and on the other in each."""
UNJUDGED = "the reference is not certified, so a bias cannot be judged"
WORDS = {1: "pathwise", -1: "score_function", 0: "undecided"}
LATE = 0.75
"""Training is judged by the last quarter of its iterations."""


def gradient_verdicts(
    measurements: Measurements, criterion: str, prices: Mapping[tuple[str, str], float] | None = None
) -> pd.DataFrame:
    """Pathwise against its rivals by mean squared error at the training batch's budget.

    Args:
        measurements: the study's results.
        criterion: equal_samples, equal_steps or equal_compute.
        prices: seconds per sample by (environment, estimator), for equal_compute.
    """
    settings = measurements.study.gradients
    budget = settings.batch_size
    every = np.arange(settings.batches)
    # a rival that has to be chosen is chosen on the even batches and judged on the odd ones
    choosing, judging = every[every % 2 == 0], every[every % 2 == 1]

    def price(measured: Measured, pathwise: Measured | None) -> float:
        if criterion == "equal_samples":
            return 1.0
        if criterion == "equal_steps":
            return measured.steps
        assert prices is not None
        # in units of pathwise's
        own, unit = (
            math.nan if each is None else prices.get((each.cell.environment, each.cell.estimator), math.nan)
            for each in (measured, pathwise)
        )
        return own / unit

    rows = []
    for place in measurements.places():
        present = measurements.by_place.get(place, [])
        pathwise = next((each for each in present if each.cell.method == "pathwise"), None)
        scores = [each for each in present if _judged_score_function(each)]
        for comparison in COMPARISONS:
            row: dict[str, Any] = {
                "environment": place.environment, "sigma": float(place.sigma), "checkpoint": place.checkpoint,
                "comparison": comparison, "rival": "", "criterion": criterion, "budget": budget,
                "statistic": "log10_mse_ratio",
            }  # fmt: skip
            rows.append(row)
            if comparison == AGAINST_REINFORCE:
                rival = next((each for each in scores if each.cell.method == "reinforce"), None)
                batches = every
            else:
                costs = [price(each, pathwise) for each in scores]
                chosen = smallest_error([each.components for each in scores], costs, budget, choosing)
                rival = None if chosen is None else scores[chosen]
                batches = judging
            if pathwise is None or rival is None:
                absent = "pathwise" if pathwise is None else comparison
                row["outcome"] = Outcome(reason=why_absent(measurements.plan, place[:2], absent))
                continue
            row["rival"] = rival.cell.estimator
            if finding := measurements.findings.get(place.environment):
                row["outcome"] = Outcome(reason=finding)
                continue
            if np.isnan(pathwise.components.biases).any():
                row["outcome"] = Outcome(reason=UNJUDGED)
                continue
            prices_of_both = price(pathwise, pathwise), price(rival, pathwise)
            if not all(map(math.isfinite, prices_of_both)):
                row["outcome"] = Outcome(reason="no timing")
                continue
            arguments = rival.components, prices_of_both, budget, batches
            row["outcome"] = compare_errors(pathwise.components, *arguments)
            if room := measurements.room(pathwise):
                worse = with_room(pathwise.components, (room * measurements.norms[place]) ** 2)
                row["outcome"] = both(row["outcome"], compare_errors(worse, *arguments), room)
    return _decided(rows, measurements.study.false_discovery_rate)


def _judged_score_function(measured: Measured) -> bool:
    return measured.cell.family == "score_function" and not np.isnan(measured.components.biases).any()


def training_verdicts(measurements: Measurements) -> pd.DataFrame:
    """Pathwise against its rivals by what was learnt: normalised return over the last quarter of training.

    The best score-function estimator is chosen on the tuning seeds.
    """
    study = measurements.study
    seeds = study.training.seeds
    curves: dict[tuple[str, str], dict[Cell, pd.DataFrame]] = {}
    for cell, rows in measurements.training:
        curves.setdefault((cell.environment, sigma_token(cell.sigma)), {})[cell] = rows
    generator = Stream(study.seed, "", "training verdicts").generator(0, "bootstrap")
    resamples = np.stack([bootstrap_indices(seeds, study.resamples, generator) for _ in range(2)])
    rows_out = []
    for environment in study.training.environments:
        for sigma in study.training.noise_levels:
            runs = curves.get((environment, sigma_token(sigma)), {})
            scores = _scores(runs, study.training.iterations)
            pathwise = next((cell for cell in runs if cell.method == "pathwise"), None)
            rivals = [cell for cell in runs if cell.family == "score_function"]
            for comparison in COMPARISONS:
                if comparison == AGAINST_REINFORCE:
                    rival = next((cell for cell in rivals if cell.method == "reinforce"), None)
                else:
                    rival = max(rivals, key=lambda cell: _tuning_score(runs[cell]), default=None)
                if pathwise is None or rival is None:
                    place = environment, sigma_token(sigma)
                    absent = "pathwise" if pathwise is None else comparison
                    why = why_absent(measurements.plan, place, absent, "training")
                    outcomes = {"iqm_difference": Outcome(reason=why)}
                else:
                    outcomes = compare_scores(scores[pathwise.estimator], scores[rival.estimator], resamples)
                for statistic, outcome in outcomes.items():
                    rows_out.append({
                        "environment": environment, "sigma": float(sigma), "checkpoint": math.nan,
                        "comparison": comparison, "rival": "" if rival is None else rival.estimator,
                        "criterion": "training", "budget": study.gradients.batch_size, "statistic": statistic,
                        "outcome": outcome,
                    })  # fmt: skip
    return _decided(rows_out, study.false_discovery_rate)


def _scores(runs: Mapping[Cell, pd.DataFrame], iterations: int) -> dict[str, np.ndarray]:
    """Normalised late return of every seed, by estimator."""
    if not runs:
        return {}
    late = {
        cell.estimator: rows[rows["iteration"] >= LATE * iterations].groupby("seed")["return_stochastic"].mean()
        for cell, rows in runs.items()
    }
    start = np.mean([rows.loc[rows["iteration"] == 0, "return_stochastic"].mean() for rows in runs.values()])
    return normalised_scores({name: values.to_numpy() for name, values in late.items()}, float(start))


def _tuning_score(rows: pd.DataFrame) -> float:
    return float(np.nan_to_num(rows["tuning_score"].iloc[0], nan=-np.inf))


def _decided(rows: list[dict[str, Any]], rate: float) -> pd.DataFrame:
    """The rows as a table, each outcome decided among all of them; each statistic is a family of hypotheses."""
    outcomes: list[Outcome] = [row.pop("outcome") for row in rows]
    judged = [index for index, outcome in enumerate(outcomes) if math.isfinite(outcome.p_value)]
    families = np.array([rows[index]["statistic"] for index in judged])
    middles = np.where(families == "probability_of_improvement", 0.5, 0.0)
    lows, highs, p_values = (
        np.array([outcomes[index][field] for index in judged])
        for field in map(Outcome._fields.index, ("low", "high", "p_value"))
    )
    decisions = dict(zip(judged, decide(lows - middles, highs - middles, p_values, families, rate), strict=True))
    for index, (row, outcome) in enumerate(zip(rows, outcomes, strict=True)):
        sign, why = decisions.get(index, (None, ""))
        row |= {
            "value": outcome.value, "value_low": outcome.low, "value_high": outcome.high,
            "flip_budget": outcome.flip_budget, "verdict": outcome.verdict if sign is None else WORDS[sign],
            "reason": outcome.reason or why,
        }  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS["verdicts"])


def why_absent(plan: Plan, place: tuple[str, str], absent: str, stage: Stage = "gradients") -> str:
    """Why a side does not exist at an environment and noise level: `pathwise`, or its rival in a comparison."""
    environment, token = place
    for name in plan.study.training.estimators if stage == "training" else plan.study.estimators:
        cell = plan.index[stage, environment, name, token]
        if not _is_side(cell, absent):
            continue
        if cell.status == "not_applicable":
            return cell.reason
        if cell.status == "run":
            return UNJUDGED if cell.available else f"no result of {name}"
    # at sigma = 0 pathwise is its deterministic self and there is nothing to compare it with
    return "without action noise there is no score function" if token == "0" else f"no {SIDES[absent]} in this study"


def _is_side(cell: Cell, side: str) -> bool:
    """Whether a cell could be this side of a comparison."""
    if side == BEST:
        return cell.family == "score_function"
    return cell.method == SIDES[side]
