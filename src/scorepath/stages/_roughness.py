"""Does one number without dimension predict who wins? Chosen on half of the environments' families, tried on the rest.

Each candidate predicts the ratio of both errors itself, not its rank only: measured against predicted there is a line
to lie on, and nothing is fitted. Jumps and tails are no matter of roughness: places that they decide are left out where
a number is chosen, and the ranks are told with and without them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from scorepath.stages._mechanisms import BEST, MISSING, PLACE, TAILS
from scorepath.store.tables import COLUMNS

CHOOSING, HELD_OUT = "choosing", "held_out"
ALL, SMOOTH = "all", "without jumps and tails"
YARDSTICK = "noise_level"
"""Not a candidate: what any number has to be better than."""
FEWEST = 5
"""Places that a rank correlation needs, and environments that limits need."""


def candidates(signals: pd.DataFrame) -> dict[str, np.ndarray]:
    """log10 of the predicted ratio of errors, rival's over pathwise's, by each number; nan where it has none.

    | number | ratio |
    |---|---|
    | mean_degree | `D Var R / (sigma^2 E abs(grad f)^2)`: second moments, and of the identity the first term |
    | roughness | `D Var R / (sigma^2 tr Cov(grad f))`: of variances |
    | identity | the same with all three terms |
    | to_go | roughness with rewards to go in the place of returns |
    | coherent | roughness with pathwise's terms added up over time |
    | residual | coherent, and of the return what action noise makes of it, where that is less |
    """
    variance = signals["signal_variance"]
    with np.errstate(divide="ignore", invalid="ignore"):
        leading = signals["coordinates"] * signals["return_variance"]
        least = signals["coordinates"] * np.minimum(signals["return_variance"], signals["residual"])
        ratios = {
            "mean_degree": leading / signals["slope"],
            "roughness": leading / variance,
            "identity": 1 + (leading + 2 * signals["cross"] - signals["slope"]) / variance,
            "to_go": signals["to_go_variance"] / variance,
            "coherent": leading / signals["coherent_variance"],
            "residual": least / signals["coherent_variance"],
            YARDSTICK: 1 / signals["sigma"],
        }
        found = {name: np.log10(ratio.to_numpy(float)) for name, ratio in ratios.items()}
    return {name: np.where(np.isfinite(each), each, math.nan) for name, each in found.items()}


def roughness_table(
    mechanisms: pd.DataFrame, signals: pd.DataFrame, families: Mapping[str, str], originals: Mapping[str, str],
    resamples: int, seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """How each number ranks the places, and the table of mechanisms with what the two best ones predict.

    Args:
        mechanisms: a row per place and comparison; the places are those against the best score function.
        signals: a row per place.
        families: of each environment.
        originals: of each environment, the one that it is but for its policy: these are resampled.
        resamples: of the environments.
        seed: of the resampling.
    """
    predicted = signals[PLACE].assign(**candidates(signals))
    names = [name for name in predicted if name not in PLACE]
    places = mechanisms[(mechanisms["comparison"] == BEST) & np.isfinite(mechanisms["value"].astype(float))]
    places = places[[*PLACE, "value", "mechanism"]].merge(predicted, on=PLACE)
    order = list(dict.fromkeys(families.values()))
    places["family"] = places["environment"].map(families)
    places["original"] = places["environment"].map(originals)
    # families stay together, for cousins are no test of each other; every other one, in the study's order
    places["part"] = places["family"].map({name: (CHOOSING, HELD_OUT)[i % 2] for i, name in enumerate(order)})
    smooth = places[~places["mechanism"].isin([MISSING, TAILS])]
    first = smooth[smooth["part"] == CHOOSING]
    ranks = {name: _correlation(first[[name, "value"]].dropna().to_numpy(float)) for name in names}
    known = {name: rank for name, rank in ranks.items() if name != YARDSTICK and not math.isnan(rank)}
    best = sorted(known, key=lambda name: -known[name])[:2]
    choices = dict(zip(best, (1.0, 2.0), strict=False))
    rows = []
    for name in names:
        parts = [(CHOOSING, SMOOTH, first)]
        for scope, every in ((SMOOTH, smooth), (ALL, places)):
            held = every[every["part"] == HELD_OUT]
            parts.append((HELD_OUT, scope, held))
            if name in best and scope == SMOOTH:
                parts += [(str(family), scope, own) for family, own in held.groupby("family", sort=False)]
        for part, scope, own in parts:
            limits = resamples if part == HELD_OUT else 0
            row = _row(own[[name, "value", "original"]].dropna(), limits, seed)
            rows.append({"number": name, "part": part, "scope": scope, "choice": choices.get(name, math.nan), **row})
    told = predicted[[*PLACE, *best]].rename(columns=dict(zip(best, ("predicted", "predicted_second"), strict=False)))
    filled = mechanisms.drop(columns=["predicted", "predicted_second"]).merge(told, on=PLACE, how="left")
    filled["family"] = filled["environment"].map(families)
    return pd.DataFrame(rows, columns=COLUMNS["roughness"]), filled.reindex(columns=COLUMNS["mechanisms"])


def _row(places: pd.DataFrame, resamples: int, seed: int) -> dict[str, Any]:
    own = [group.iloc[:, :2].to_numpy(float) for _, group in places.groupby("original", sort=False)]
    pairs = np.concatenate(own) if own else np.empty((0, 2))
    low, high = _limits(own, resamples, seed)
    return {
        "rank_correlation": _correlation(pairs), "rank_correlation_low": low, "rank_correlation_high": high,
        "distance": float(np.median(np.abs(pairs[:, 0] - pairs[:, 1]))) if len(pairs) else math.nan,
        "places": len(pairs), "environments": len(own),
    }  # fmt: skip


def _correlation(pairs: np.ndarray) -> float:
    """Spearman's, of (places, 2)."""
    return float(_correlations(pairs, np.ones((1, len(pairs))))[0])


def _correlations(pairs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Spearman's correlation of (places, 2) where each place counts so many times, (resamples, places)."""
    if len(pairs) < FEWEST:
        return np.full(len(counts), math.nan)
    total = counts.sum(1, keepdims=True)
    centred = []
    for values in pairs.T:
        levels, own = np.unique(values, return_inverse=True)
        at_level = counts @ (own[:, None] == np.arange(len(levels)))
        ranks = (at_level.cumsum(1) - at_level / 2)[:, own]  # equal values share the mean of their ranks
        centred.append(ranks - (counts * ranks).sum(1, keepdims=True) / total)
    covariance, first, second = (
        (counts * centred[i] * centred[j]).sum(1) for i, j in ((0, 1), (0, 0), (1, 1))
    )  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(covariance / np.sqrt(first * second))


def _limits(own: list[np.ndarray], resamples: int, seed: int) -> tuple[float, float]:
    """95 % percentile limits when environments, each with all its places, are drawn anew."""
    if not resamples or len(own) < FEWEST:
        return math.nan, math.nan
    drawn = np.random.default_rng(seed).integers(len(own), size=(resamples, len(own)))
    times = (drawn[:, :, None] == np.arange(len(own))).sum(1)
    counts = times.repeat([len(group) for group in own], axis=1).astype(float)
    draws = _correlations(np.concatenate(own), counts)
    if np.isnan(draws).all():
        return math.nan, math.nan
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(low), float(high)
