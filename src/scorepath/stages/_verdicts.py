"""The study's verdicts: at every place pathwise against its rivals, by gradient error and by what was learnt.

Who is compared goes by method and family, never by the name that a configuration gives an estimator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scorepath.scores import compare_scores
from scorepath.stages._measurements import Measured, Measurements, Place
from scorepath.stages._training import Places, most_chosen, place_scores
from scorepath.store.paths import Stage, sigma_token
from scorepath.store.tables import COLUMNS
from scorepath.study.cells import DERIVATIVE_FREE
from scorepath.unbiasedness import both, with_room
from scorepath.verdicts import (
    NOT_APPLICABLE,
    NOT_MEASURABLE,
    Outcome,
    compare_errors,
    decide,
    ruling,
    settled,
    smallest_error,
    worth,
)

if TYPE_CHECKING:
    from scorepath.study.cells import Cell, Plan
    from scorepath.study.settings import Study

AGAINST_REINFORCE = "pathwise_vs_reinforce"
BEST = "pathwise_vs_best_score_function"
BEST_OF_ALL = "pathwise_vs_best_derivative_free"
COMPARISONS = (AGAINST_REINFORCE, BEST)
POOLS = {BEST: ("score_function",), BEST_OF_ALL: DERIVATIVE_FREE}
"""The families among which a rival is chosen."""
SIDES = {
    "pathwise": "pathwise", AGAINST_REINFORCE: "reinforce", BEST: "score-function estimator",
    BEST_OF_ALL: "derivative-free estimator",
}  # fmt: skip
"""What stands on one side of every comparison, and on the other in each."""
UNJUDGED = "the reference is not certified, so a bias cannot be judged"
UNKNOWN_USE = "the reference is not certified, so nothing says whether the smaller error is small enough to be of use"
WINNERS = {AGAINST_REINFORCE: "score_function", BEST: "score_function", BEST_OF_ALL: "derivative_free"}
"""The verdict's word where the rival wins."""


def gradient_verdicts(
    measurements: Measurements, criterion: str, prices: Mapping[tuple[str, str], float] | None = None
) -> pd.DataFrame:
    """Pathwise against its rivals by mean squared error at the training batch's budget.

    Args:
        measurements: the study's results.
        criterion: equal_samples, equal_steps or equal_compute.
        prices: seconds per sample by (environment, estimator), for equal_compute.
    """
    budget = measurements.study.gradients.batch_size

    def price(measured: Measured, pathwise: Measured | None) -> float:
        if prices is None:
            return measured.price(criterion)
        # in units of pathwise's
        own, unit = (
            math.nan if each is None else prices.get((each.cell.environment, each.cell.estimator), math.nan)
            for each in (measured, pathwise)
        )
        return own / unit

    rows = [
        {
            "environment": place.environment, "sigma": float(place.sigma), "checkpoint": place.checkpoint,
            "comparison": comparison, "rival": "", "criterion": criterion, "budget": budget,
            "statistic": "log10_mse_ratio", **_compared(measurements, place, comparison, price, budget),
        }
        for place in measurements.places()
        for comparison in (*COMPARISONS, BEST_OF_ALL)
    ]  # fmt: skip
    return _decided(rows, measurements.study)


def _compared(
    measurements: Measurements,
    place: Place,
    comparison: str,
    price: Callable[[Measured, Measured | None], float],
    budget: int,
) -> dict[str, Any]:
    """The outcome of one comparison at one place, and its rival, relative error and verdict where it has them."""
    pathwise = measurements.pathwise(place)
    rivals = _rivals(measurements.by_place.get(place, []), comparison)
    costs = [price(each, pathwise) for each in rivals]
    if comparison in POOLS:
        # a rival that has to be chosen is chosen on the even batches and judged on the odd ones
        choosing, batches = measurements.halves
        chosen = smallest_error([each.components for each in rivals], costs, budget, choosing)
    else:
        chosen, batches = 0 if rivals else None, measurements.every
    if pathwise is None or chosen is None:
        absent = "pathwise" if pathwise is None else comparison
        return {"outcome": Outcome(reason=why_absent(measurements.plan, place[:2], absent))}
    rival = rivals[chosen]
    row: dict[str, Any] = {"rival": rival.cell.estimator}
    if finding := measurements.findings.get(place.environment):
        return row | {"outcome": Outcome(reason=finding)}
    if np.isnan(pathwise.components.biases).any():
        return row | {"outcome": Outcome(reason=UNJUDGED)}
    prices = price(pathwise, pathwise), costs[chosen]
    if not all(map(math.isfinite, prices)):
        return row | {"outcome": Outcome(reason="no timing")}
    compared = pathwise.components, rival.components, prices, budget, batches
    outcome = compare_errors(*compared)
    if room := measurements.room(pathwise):
        worse = with_room(pathwise.components, (room * measurements.norms[place]) ** 2)
        outcome = both(outcome, compare_errors(worse, *compared[1:]), room)
    found = worth(*compared, measurements.squares[place])
    row["relative_error"] = math.nan if outcome.verdict == NOT_MEASURABLE else found.relative_error
    verdict, why = settled(outcome, found)
    if verdict:
        return row | {"verdict": verdict, "outcome": outcome._replace(reason=why)}
    if math.isnan(found.relative_error):
        outcome = outcome._replace(reason=outcome.reason or UNKNOWN_USE)
    return row | {"outcome": outcome}


def _rivals(present: list[Measured], comparison: str) -> list[Measured]:
    """Those that pathwise may meet in a comparison and whose bias, if they have one, can be judged."""
    return [
        each for each in present
        if _is_side(each.cell, comparison) and not np.isnan(each.components.biases).any()
    ]  # fmt: skip


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
                if trained and not any(np.isfinite(each.columns["return_stochastic"]).any() for each in trained):
                    outcomes = {"score_difference": Outcome(reason="no return is finite")}
                elif pathwise is not None and rivals:
                    theirs = [scores[cell] for cell in rivals]
                    name = rivals[most_chosen(theirs)].estimator
                    outcomes = compare_scores(scores[pathwise], np.concatenate(theirs), study.training.seeds)
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
    return _decided(rows, study)


def _decided(rows: list[dict[str, Any]], study: Study) -> pd.DataFrame:
    """The rows as a table, each outcome decided among all of them; each statistic is a family of hypotheses.

    A row that has its verdict already is no hypothesis.
    """
    outcomes: list[Outcome] = [row.pop("outcome") for row in rows]
    judged = [
        index for index, outcome in enumerate(outcomes)
        if math.isfinite(outcome.p_value) and "verdict" not in rows[index]
    ]  # fmt: skip
    families = np.array([rows[index]["statistic"] for index in judged])
    middles = np.where(families == "probability_of_improvement", 0.5, 0.0)
    lows, highs, p_values = (
        np.array([outcomes[index][field] for index in judged])
        for field in map(Outcome._fields.index, ("low", "high", "p_value"))
    )
    lows, highs = lows - middles, highs - middles
    margins = {"log10_mse_ratio": math.log10(study.error_margin), "score_difference": study.training_margin}
    signs = decide(lows, highs, p_values, families, study.false_discovery_rate)
    decisions = {}
    for index, (sign, why), low, high in zip(judged, signs, lows, highs, strict=True):
        statistic, comparison = rows[index]["statistic"], rows[index]["comparison"]
        word, beside = ruling(sign, low, high, margins.get(statistic, 0.0), ("pathwise", WINNERS[comparison]))
        decisions[index] = word, beside if statistic in margins else "", why
    for index, (row, outcome) in enumerate(zip(rows, outcomes, strict=True)):
        word, beside, why = decisions.get(index, (row.get("verdict", NOT_APPLICABLE), "", ""))
        row |= {
            "value": outcome.value, "value_low": outcome.low, "value_high": outcome.high,
            "flip_budget": outcome.flip_budget, "practical": beside, "verdict": word,
            "reason": "; ".join(filter(None, (why, outcome.reason))),
        }  # fmt: skip
    return with_spread(pd.DataFrame(rows, columns=COLUMNS["verdicts"]), study)


def with_spread(verdicts: pd.DataFrame, study: Study) -> pd.DataFrame:
    """How far the values lie apart that an environment's policies give, each measured as an environment of its own."""
    own = verdicts["environment"].map(study.original)
    keys = [own, *(verdicts[name] for name in ("sigma", "checkpoint", "comparison", "criterion", "statistic"))]
    values = verdicts["value"].groupby(keys, dropna=False)
    spread = {"policies": values.transform("size"), "value_least": values.transform("min"),
              "value_most": values.transform("max")}  # fmt: skip
    return verdicts.assign(**spread)


def why_absent(plan: Plan, place: tuple[str, str], absent: str, stage: Stage = "gradients") -> str:
    """Why a side does not exist at an environment and noise level: `pathwise`, or its rival in a comparison."""
    environment, token = place
    names = plan.study.training.estimators if stage == "training" else plan.study.estimators
    sides = [cell for name in names if _is_side(cell := plan.index[stage, environment, name, token], absent)]
    for cell in sorted(sides, key=lambda cell: cell.status == "not_applicable"):
        if cell.status == "not_applicable":
            return cell.reason
        if cell.status == "run":
            return UNJUDGED if cell.available else f"no result of {cell.estimator}"
        if absent == "pathwise":
            return f"no result of {cell.status.removeprefix('identical_to:')}"
    return f"no {SIDES[absent]} in this study"


def _is_side(cell: Cell, side: str) -> bool:
    """Whether a cell could be this side of a comparison."""
    return cell.family in POOLS[side] if side in POOLS else cell.method == SIDES[side]
