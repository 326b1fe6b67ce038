"""The study's verdicts: at every place pathwise against its rivals, by gradient error and by what was learnt.

Who is compared goes by method and family, never by the name that a configuration gives an estimator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scorepath.scores import compare_scores
from scorepath.stages._measurements import Measured, Measurements
from scorepath.stages._training import Places, most_chosen, place_scores
from scorepath.store.paths import Stage, sigma_token
from scorepath.store.tables import COLUMNS
from scorepath.verdicts import Outcome, compare_errors, decide, smallest_error

if TYPE_CHECKING:
    from scorepath.study.cells import Cell, Plan

AGAINST_REINFORCE = "pathwise_vs_reinforce"
BEST = "pathwise_vs_best_score_function"
COMPARISONS = (AGAINST_REINFORCE, BEST)
SIDES = {"pathwise": "pathwise", AGAINST_REINFORCE: "reinforce", BEST: "score-function estimator"}
"""What stands on one side of every comparison, and on the other in each."""
UNJUDGED = "the reference is not certified, so a bias cannot be judged"
WORDS = {1: "pathwise", -1: "score_function", 0: "undecided"}


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
            if np.isnan(pathwise.components.biases).any():
                row["outcome"] = Outcome(reason=UNJUDGED)
                continue
            both = price(pathwise, pathwise), price(rival, pathwise)
            if not all(map(math.isfinite, both)):
                row["outcome"] = Outcome(reason="no timing")
                continue
            weights = measurements.bootstrap_weights(len(batches))
            row["outcome"] = compare_errors(pathwise.components, rival.components, both, budget, batches, weights)
    return _decided(rows, measurements.study.false_discovery_rate)


def _judged_score_function(measured: Measured) -> bool:
    return measured.cell.family == "score_function" and not np.isnan(measured.components.biases).any()


def training_verdicts(measurements: Measurements, places: Places, criterion: str) -> pd.DataFrame:
    """Pathwise against its rivals by what was learnt: normalised return over the last quarter of a budget.

    A rival that has to be chosen is chosen together with its learning rate, by the seeds that it is not judged on.

    Args:
        measurements: the study's results.
        places: what was trained.
        criterion: one of `CRITERIA`.
    """
    study = measurements.study
    rows = []
    for environment in study.training.environments:
        for sigma in study.training.noise_levels:
            place = environment, sigma_token(sigma)
            trained = places.get(place, [])
            scores = dict(zip((each.cell for each in trained), place_scores(trained, criterion), strict=True))
            pathwise = next((cell for cell in scores if _is_side(cell, "pathwise")), None)
            for comparison in COMPARISONS:
                rivals = [cell for cell in scores if _is_side(cell, comparison)]
                if comparison == AGAINST_REINFORCE:
                    rivals = rivals[:1]
                name = ""
                if pathwise is not None and rivals:
                    theirs = [scores[cell] for cell in rivals]
                    name = rivals[most_chosen(theirs)].estimator
                    outcomes = compare_scores(scores[pathwise], np.concatenate(theirs))
                else:
                    absent = "pathwise" if pathwise is None else comparison
                    why = why_absent(measurements.plan, place, absent, "training")
                    outcomes = {"score_difference": Outcome(reason=why)}
                rows += [
                    {
                        "environment": environment, "sigma": float(sigma), "checkpoint": math.nan,
                        "comparison": comparison, "rival": name, "criterion": criterion,
                        "budget": study.gradients.batch_size, "statistic": statistic, "outcome": outcome,
                    }
                    for statistic, outcome in outcomes.items()
                ]  # fmt: skip
    return _decided(rows, study.false_discovery_rate)


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
            "flip_budget": outcome.flip_budget, "verdict": "not_applicable" if sign is None else WORDS[sign],
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
