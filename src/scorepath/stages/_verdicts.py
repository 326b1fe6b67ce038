"""The study's verdicts: at every place pathwise against its rivals, by gradient error and by what was learnt.

Who is compared goes by method and family, never by the name that a configuration gives an estimator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from scorepath.scores import compare_scores
from scorepath.stages._measurements import Measured, Measurements, Place, halves, with_equal_batches
from scorepath.stages._training import Places, most_chosen, place_scores
from scorepath.store.paths import Stage, sigma_token
from scorepath.store.tables import COLUMNS
from scorepath.study.cells import DERIVATIVE_FREE
from scorepath.unbiasedness import both, with_room
from scorepath.verdicts import (
    NEITHER_USABLE,
    NOT_APPLICABLE,
    NOT_MEASURABLE,
    Outcome,
    Side,
    Worth,
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
COMPARISONS = (AGAINST_REINFORCE, BEST, BEST_OF_ALL)
POOLS = {BEST: ("score_function",), BEST_OF_ALL: DERIVATIVE_FREE}
"""The families among which a rival is chosen."""
SIDES = {
    "pathwise": "pathwise", AGAINST_REINFORCE: "reinforce", BEST: "score-function estimator",
    BEST_OF_ALL: "derivative-free estimator",
}  # fmt: skip
"""What stands on one side of every comparison, and on the other in each."""
ONLY_SCORE_FUNCTIONS = "of derivative-free estimators only score functions are trained here: see that comparison"
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

    priced = _priced(measurements, criterion, prices)
    pairs = [
        _paired(measurements, place, comparison, priced)
        for place in measurements.places()
        for comparison in COMPARISONS
    ]
    _compare(measurements, [pair for pair in pairs if pair.compared])
    rows = [
        {
            "environment": pair.place.environment, "sigma": float(pair.place.sigma),
            "checkpoint": pair.place.checkpoint, "comparison": pair.comparison, "rival": "", "criterion": criterion,
            "budget": measurements.study.gradients.batch_size, "statistic": "log10_mse_ratio", **pair.found,
        }
        for pair in pairs
    ]  # fmt: skip
    return _decided(rows, measurements.study)


@dataclass
class Pair:
    """A comparison at a place: who meets whom, if both are there, and what came of it."""

    place: Place
    comparison: str
    found: dict[str, Any]
    """The outcome, and the rival, the relative error and the verdict where there are such."""
    compared: tuple[Measured, ...] = ()
    """Pathwise and its rival, if they are to be compared."""
    prices: tuple[float, ...] = ()
    """What a sample of each costs."""


class Priced(NamedTuple):
    """What a sample costs, and the error that it then gives on the batches that a rival is chosen on."""

    price: float
    error: float


def _priced(
    measurements: Measurements, criterion: str, seconds: Mapping[tuple[str, str], float] | None
) -> dict[tuple[Place, str], Priced]:
    """By place and estimator. Seconds count in units of pathwise's."""

    def price(measured: Measured) -> float:
        if seconds is None:
            return measured.price(criterion)
        own, unit = (
            math.nan if each is None else seconds.get((each.cell.environment, each.cell.estimator), math.nan)
            for each in (measured, measurements.pathwise(measured.place))
        )
        return own / unit

    priced = {}
    for indices in with_equal_batches(measurements.gradients):
        found = [measurements.gradients[index] for index in indices]
        prices = np.array([price(each) for each in found])
        side = Side([each.components for each in found], prices, measurements.study.gradients.batch_size)
        errors = side.errors(halves(found[0].batches)[0]).tolist()
        for each, its_price, error in zip(found, prices.tolist(), errors, strict=True):
            priced[each.place, each.cell.estimator] = Priced(its_price, error)
    return priced


def _paired(
    measurements: Measurements, place: Place, comparison: str, priced: Mapping[tuple[Place, str], Priced]
) -> Pair:
    """Pathwise and its rival at a place, or why they can't be compared there."""
    pathwise = measurements.pathwise(place)
    rivals = _rivals(measurements.by_place.get(place, []), comparison)
    costs = [priced[place, each.cell.estimator] for each in rivals]
    chosen = 0 if rivals else None
    if comparison in POOLS:
        # on one half of the batches; it is judged on the other
        chosen = smallest_error([cost.error for cost in costs], [each.components.tail.unmeasurable for each in rivals])
    if pathwise is None or chosen is None:
        absent = "pathwise" if pathwise is None else comparison
        return Pair(place, comparison, {"outcome": Outcome(reason=why_absent(measurements.plan, place[:2], absent))})
    rival = rivals[chosen]
    prices = priced[pathwise.place, pathwise.cell.estimator].price, costs[chosen].price
    reason = measurements.blindness(place)
    if not reason and np.isnan(pathwise.components.biases).any():
        reason = UNJUDGED
    if not reason and not all(map(math.isfinite, prices)):
        reason = "no timing"
    found = {"rival": rival.cell.estimator, "outcome": Outcome(reason=reason)}
    return Pair(place, comparison, found, () if reason else (pathwise, rival), prices)


def _compare(measurements: Measurements, pairs: list[Pair]) -> None:
    """Find the outcomes of these pairs, all of a comparison with equally many batches at once."""
    budget = measurements.study.gradients.batch_size
    for comparison, number in dict.fromkeys((pair.comparison, pair.compared[0].batches) for pair in pairs):
        own = [pair for pair in pairs if (pair.comparison, pair.compared[0].batches) == (comparison, number)]
        batches = halves(number)[1] if comparison in POOLS else np.arange(number)
        prices = np.reshape([pair.prices for pair in own], (-1, 2)).T
        first, second = (
            Side([pair.compared[side].components for pair in own], prices[side], budget) for side in (0, 1)
        )
        outcomes = compare_errors(first, second, batches)
        lengths = np.array([measurements.norms[pair.place] for pair in own])
        for side, hiding in enumerate((first, second)):
            rooms = np.array([measurements.room(pair.compared[side]) for pair in own])
            if rooms.any():
                squares = np.square(rooms * lengths)
                worse = replace(hiding, components=list(map(with_room, hiding.components, squares)))
                others = compare_errors(*((worse, second) if side == 0 else (first, worse)), batches)
                outcomes = [
                    both(outcome, other, room) if room else outcome
                    for outcome, other, room in zip(outcomes, others, rooms, strict=True)
                ]
        squares = np.array([measurements.squares[pair.place] for pair in own])
        for pair, outcome, found in zip(own, outcomes, worth(first, second, batches, squares), strict=True):
            pair.found |= _judged(outcome, found)


def _judged(outcome: Outcome, found: Worth) -> dict[str, Any]:
    """What a comparison says: its outcome, the relative error, and the verdict where there is nothing to decide."""
    row: dict[str, Any] = {"outcome": outcome}
    verdict, why = settled(outcome, found)
    known = outcome.verdict != NOT_MEASURABLE or verdict == NEITHER_USABLE
    row["relative_error"] = found.relative_error if known else math.nan
    if verdict:
        return row | {"verdict": verdict, "outcome": outcome._replace(reason=why)}
    if math.isnan(found.relative_error):
        row["outcome"] = outcome._replace(reason=outcome.reason or UNKNOWN_USE)
    return row


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
                elif comparison == BEST_OF_ALL and rivals and all(_is_side(cell, BEST) for cell in rivals):
                    outcomes = {"score_difference": Outcome(reason=ONLY_SCORE_FUNCTIONS)}
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
        words = ("pathwise", WINNERS[comparison]), outcomes[index].open_word
        word, beside = ruling(sign, low, high, margins.get(statistic, 0.0), *words)
        if word == NOT_MEASURABLE:
            why, beside = "", ""
        decisions[index] = word, beside if statistic in margins else "", why
    for index, (row, outcome) in enumerate(zip(rows, outcomes, strict=True)):
        word, beside, why = decisions.get(index, (row.get("verdict", NOT_APPLICABLE), "", ""))
        if word == NOT_MEASURABLE:  # and so has no value
            outcome = Outcome(reason=outcome.reason)
        row |= {
            "value": outcome.value, "value_low": outcome.low, "value_high": outcome.high,
            "flip_budget": outcome.flip_budget, "flip_budget_low": outcome.flip_low,
            "flip_budget_high": outcome.flip_high, "practical": beside, "verdict": word,
            "reason": "; ".join(filter(None, (why, outcome.reason))),
        }  # fmt: skip
    return with_spread(pd.DataFrame(rows, columns=COLUMNS["verdicts"]), study)


def with_spread(verdicts: pd.DataFrame, study: Study) -> pd.DataFrame:
    """How far the values lie apart that an environment's policies give, each measured as an environment of its own."""
    own = verdicts["environment"].map(study.original)
    keys = [own, *(verdicts[name] for name in ("sigma", "checkpoint", "comparison", "criterion", "statistic"))]
    values = verdicts["value"].groupby(keys, dropna=False)
    spread = {"policies": values.transform("count"), "value_least": values.transform("min"),
              "value_most": values.transform("max")}  # fmt: skip
    return verdicts.assign(**spread)


def why_absent(plan: Plan, place: tuple[str, str], absent: str, stage: Stage = "gradients") -> str:
    """Why a side does not exist at an environment and noise level: `pathwise`, or its rival in a comparison."""
    environment, token = place
    names = plan.study.training.estimators if stage == "training" else plan.study.estimators_of(environment)
    sides = [cell for name in names if _is_side(cell := plan.index[stage, environment, name, token], absent)]
    for cell in sorted(sides, key=lambda cell: cell.status == "not_applicable"):
        if cell.status == "not_applicable":
            return cell.reason
        if cell.status == "run":
            return UNJUDGED if cell.available else f"no result of {cell.estimator}"
        if absent == "pathwise":
            return f"no result of {cell.status.removeprefix('identical_to:')}"
    partly = stage == "gradients" and plan.study.environments[environment].estimators is not None
    return f"no {SIDES[absent]} {'is measured here' if partly else 'in this study'}"


def _is_side(cell: Cell, side: str) -> bool:
    """Whether a cell could be this side of a comparison."""
    return cell.family in POOLS[side] if side in POOLS else cell.method == SIDES[side]
