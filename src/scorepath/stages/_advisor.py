"""How good the advisor's advice is where a family of environments was left out, beside simpler rules.

A place counts where the study's verdict against the best derivative-free rival is decided. Everything is averaged over
places, and intervals are over families, drawn anew: what is new about a new simulator is its family.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from scorepath import forecast
from scorepath.forecast import Evidence, Forecast, features_of, held_out, probabilities, risk_threshold
from scorepath.forecast import fit as fit_model
from scorepath.store.tables import COLUMNS

COMPARISON = "pathwise_vs_best_derivative_free"
NEVER_FITTED = frozenset({"mujoco"})
"""Families that no model is fitted to, so that it can be judged by them: simulators that nobody here wrote."""
PATHWISE, RIVAL = "pathwise", "derivative_free"
RUN = 1000
"""Optimiser steps of the run that a probe is charged to."""
MOST_DECADES = 3.0
"""A log ratio of variances is cut off there where a rule is fitted to it."""
WRONG = 0.99
"""What a rule that knows no doubt is said to be sure of, where its log loss is counted."""


def places_table(probes: pd.DataFrame, verdicts: pd.DataFrame, families: Mapping[str, str]) -> pd.DataFrame:
    """A row per place and criterion: the probe, the study's verdict, the probability by a model without its family."""
    if probes.empty:
        return pd.DataFrame(columns=COLUMNS["probes"])
    own = verdicts[(verdicts["comparison"] == COMPARISON) & (verdicts["statistic"] == "log10_mse_ratio")]
    key = ["environment", "sigma", "checkpoint", "criterion"]
    truth = own[[*key, "verdict", "value"]]
    places = probes.drop(columns=["verdict", "value"], errors="ignore").merge(truth, on=key, how="left")
    places["verdict"] = places["verdict"].fillna("")
    places["family"] = places["environment"].map(families)
    found = np.array([features_of(_evidence(row)) for row in places.to_dict("records")])
    for index, name in enumerate(forecast.FEATURES):
        places[f"{name}_surety"] = found[:, index]
    return _with_forecasts(places).reindex(columns=COLUMNS["probes"])


def _evidence(row: Mapping[Any, Any]) -> Evidence:
    """A row's numbers as they were; a field of text that is empty was read as nan."""
    fields = {name: row.get(name) for name in Evidence.__dataclass_fields__}
    given: dict[str, Any] = {k: "" if k in ("reason", "witness", "rival") and v != v else v for k, v in fields.items()}
    return Evidence(**given)


def _with_forecasts(places: pd.DataFrame) -> pd.DataFrame:
    """The probability, and the threshold from which on it would be an answer, both without the place's family.

    Fitted at equal samples; equal steps are another question, which the same model is asked with other ratios.
    """
    fit_on = _fitted_to(places)
    features, families, wins = _columns(places)
    capped = _jumps(places) | _declared(places)
    probability, threshold = np.full(len(places), math.nan), np.full(len(places), math.nan)
    for family in np.unique(families):
        out = families == family
        rest = (fit_on & ~out).to_numpy()
        if len(np.unique(wins[rest])) < 2:
            continue
        model = fit_model(features[rest], wins[rest], families[rest])
        probability[out] = probabilities(*model, features[out])
        inner = held_out(features[rest], wins[rest], families[rest], capped[rest])
        threshold[out] = risk_threshold(inner, wins[rest], families[rest])
    return places.assign(probability=np.where(capped, np.minimum(probability, forecast.CAP), probability),
                         threshold=threshold)  # fmt: skip


def _fitted_to(places: pd.DataFrame) -> pd.Series:
    """The places that teach a model something."""
    return _decided(places) & (places["criterion"] == "equal_samples") & ~places["family"].isin(NEVER_FITTED)


def _columns(places: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    features = places[[f"{name}_surety" for name in forecast.FEATURES]].to_numpy(float)
    return features, places["family"].to_numpy(str), (places["verdict"] == PATHWISE).to_numpy()


def _decided(places: pd.DataFrame) -> pd.Series:
    return places["verdict"].isin([PATHWISE, RIVAL])


def _jumps(places: pd.DataFrame) -> np.ndarray:
    """Whether the search found a jump anywhere in the place's environment, or a ramp that is as good as one here."""
    proper = places["jump"].where(places["jump_share"] == 0, 0.0).groupby(places["environment"]).transform("max")
    return np.asarray((proper > 0) | (places["jump"] > 0))


def _declared(places: pd.DataFrame) -> np.ndarray:
    """Whether the place's environment says itself that its return jumps, wherever that is."""
    return (places["declared"] == 0).to_numpy()


def fitted(places: pd.DataFrame) -> Forecast:
    """The model of all families that may teach it, and the threshold that their held-out probabilities set."""
    known = places[_fitted_to(places)]
    features, families, wins = _columns(known)
    names = tuple(dict.fromkeys(families))
    if len(np.unique(wins)) < 2:
        return Forecast((0.0,) * len(forecast.FEATURES), 0.0, 1.0, forecast.RISK, len(known), names)
    weights, intercept = fit_model(features, wins, families)
    capped = _jumps(known) | _declared(known)
    threshold = risk_threshold(held_out(features, wins, families, capped), wins, families)
    rounded = tuple(float(f"{each:.6g}") for each in weights), float(f"{intercept:.6g}")
    return Forecast(*rounded, float(f"{threshold:.6g}"), forecast.RISK, len(known), names)


# --- rules and their scores -------------------------------------------------------------------------------------------


def _advisor(known: pd.DataFrame) -> np.ndarray:
    return known["probability"].to_numpy(float)


def _variances(known: pd.DataFrame) -> np.ndarray:
    """Of the log ratio of variances alone, fitted without the family."""
    _, families, wins = _columns(known)
    return held_out(_variance_lead(known)[:, None], wins, families, np.zeros(len(known), bool))


def _variances_and_jump(known: pd.DataFrame) -> np.ndarray:
    """The same and the truth about continuity, as the environment declares it."""
    _, families, wins = _columns(known)
    features = np.column_stack([_variance_lead(known), known["declared"].to_numpy(float)])
    return held_out(features, wins, families, np.zeros(len(known), bool))


def _variance_lead(known: pd.DataFrame) -> np.ndarray:
    return known["variance_lead"].fillna(0.0).clip(-MOST_DECADES, MOST_DECADES).to_numpy(float)


def _base_rate(known: pd.DataFrame) -> np.ndarray:
    """The share of wins in other families, each of which counts the same."""
    shares = known.assign(win=known["verdict"] == PATHWISE).groupby("family")["win"].mean()
    return known["family"].map({name: shares.drop(name).mean() for name in shares.index}).fillna(0.5).to_numpy(float)


RULES: dict[str, tuple[Callable[[pd.DataFrame], np.ndarray], bool]] = {
    "advisor": (_advisor, True),
    "variances of 8 batches": (_variances, True),
    "variances and an oracle's jump": (_variances_and_jump, True),
    "alpha-order (Suh et al. 2022)": (lambda known: known["trust"].to_numpy(float), True),
    "GI-PPO's test of bias (Son et al. 2023)": (lambda known: known["raised"].fillna(0.5).to_numpy(float), True),
    "base rate": (_base_rate, False),
    "always pathwise": (lambda known: np.ones(len(known)), False),
    "always derivative-free": (lambda known: np.zeros(len(known)), False),
    "oracle": (lambda known: (known["verdict"] == PATHWISE).to_numpy(float), False),
}
"""Each rule's probability of a win of pathwise, and whether it has to probe."""


def scores_table(places: pd.DataFrame, budget: int, resamples: int, seed: int) -> pd.DataFrame:
    """A row per criterion, rule and quantity, with 95 % limits over families."""
    rows: list[dict[str, Any]] = []
    for criterion in ("equal_samples", "equal_steps"):
        own = places[places["criterion"] == criterion]
        known = own[_decided(own) & np.isfinite(own["probability"].astype(float))]
        families = known["family"].to_numpy(str)
        if len(np.unique(families)) < 3:
            continue
        counts = {
            "places": len(known),
            "families": len(np.unique(families)),
            "environments": known["environment"].nunique(),
        }
        for rule, (predict, probing) in RULES.items():
            found = predict(known)
            parts = _parts(known, found, rule, RUN * budget if probing else math.inf)
            for quantity, (values, weights) in parts.items():
                limits = _limits(values, weights, families, resamples, seed)
                rows.append({"criterion": criterion, "rule": rule, "quantity": quantity, **limits, **counts})
            worst = _worst(own, known, found, rule)
            rows.append(
                {"criterion": criterion, "rule": rule, "quantity": "largest_where_it_jumps", "value": worst, **counts}
            )
    return pd.DataFrame(rows, columns=COLUMNS["advisor"])


def _parts(known: pd.DataFrame, found: np.ndarray, rule: str, run: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Values of each place, and what they count, by the quantity that is their mean."""
    wins = (known["verdict"] == PATHWISE).to_numpy()
    right = (found > 0.5) == wins
    doubting = np.clip(found, 1 - WRONG, WRONG)
    one = np.ones(len(known))
    price = -np.log10(1 - np.minimum(known["probe_samples"].to_numpy(float) / run, 0.99))
    lost = np.where(right, 0.0, known["value"].abs().clip(upper=12).to_numpy(float))
    parts = {
        "brier": (np.square(found - wins), one),
        "log_loss": (-np.log(np.where(wins, doubting, 1 - doubting)), one),
        "accuracy": (right.astype(float), one),
        "regret": (lost, one),
        "regret_with_probe": (lost + price, one),
    }
    if rule == "advisor":
        answered = np.maximum(found, 1 - found) >= known["threshold"].to_numpy(float)
        # the advice itself: pathwise is never said where a hidden bias could turn it round, a jump is known, or a
        # rival's second moment cannot be measured
        hidden = known["cautious_low"].to_numpy(float) <= 0
        unmeasured = known["reason"].fillna("").to_numpy(str) != ""
        said = ~((found > 0.5) & (hidden | _jumps(known) | unmeasured))
        parts |= {
            "coverage": ((answered & said).astype(float), one),
            "accuracy_answered": (right.astype(float), (answered & said).astype(float)),
            "coverage_by_probability": (answered.astype(float), one),
            "accuracy_by_probability": (right.astype(float), answered.astype(float)),
        }
    return parts


def _worst(own: pd.DataFrame, known: pd.DataFrame, found: np.ndarray, rule: str) -> float:
    """The largest probability of pathwise in an environment that jumps; the advisor's at all places, decided or not."""
    if rule == "advisor":
        every = own.loc[_declared(own), "probability"].astype(float)
        return float(every.max()) if len(every) else math.nan
    jumping = found[_declared(known)]
    return float(jumping.max()) if len(jumping) else math.nan


def _limits(
    values: np.ndarray, weights: np.ndarray, families: np.ndarray, resamples: int, seed: int
) -> dict[str, float]:
    """A weighted mean, with percentile limits when families, each with all its places, are drawn anew."""
    names, own = np.unique(families, return_inverse=True)
    tops = np.bincount(own, values * weights, len(names))
    bottoms = np.bincount(own, weights, len(names))
    drawn = np.random.default_rng(seed).integers(len(names), size=(resamples, len(names)))
    with np.errstate(invalid="ignore", divide="ignore"):
        draws = tops[drawn].sum(1) / bottoms[drawn].sum(1)
        mean = float(tops.sum() / bottoms.sum())
    low, high = (
        (float(end) for end in np.nanquantile(draws, [0.025, 0.975])) if np.isfinite(draws).any() else (math.nan,) * 2
    )
    return {"value": mean, "value_low": low, "value_high": high}
