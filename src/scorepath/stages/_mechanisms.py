"""What decides each comparison at equal samples, by what was measured there; an environment's name never enters.

A mechanism is the first of `MECHANISMS` whose condition holds. All numbers that a condition rests on stand in the row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from scorepath.store.tables import COLUMNS, UNCERTIFIED, Tables, empty

PLACE = ["environment", "sigma", "checkpoint"]
REINFORCE, BEST = "pathwise_vs_reinforce", "pathwise_vs_best_score_function"
BEST_OF_ALL = "pathwise_vs_best_derivative_free"
RIVALS = ("score_function", "derivative_free")
DECIDED = ("pathwise", *RIVALS)
MISSING, TAILS, COST, PRECISION = "missing boundary term", "tails", "cost", "precision"
BASELINE, RIVALS_BIAS, SCORE_NOISE = "missing baseline", "rival's bias", "score noise"
GROWTH, ROUGHNESS, RIVALS_VARIANCE = "growth", "roughness", "rival's variance"
EXACT = "exact"
BOTH_NOISY, BALANCE, UNEXPLAINED = "both too noisy", "balance", "unexplained"
MOST = 0.5
"""The part of an error from which on one thing is called what decides it."""
LEAST = 1e-3
"""The bias, by the gradient's length, below which it is no boundary term: single precision has such."""
SURE = 1e-3
"""The p-value below which a bias that no proof excludes counts as seen."""

Row = Mapping[str, Any]
MEASURED = ("squared_bias", "squared_bias_low", "bias_p_value", "proved_unbiased", "variance", "not_measurable",
            "tail_share", "mse_equal_samples", "zero_fraction", "dtype", "float32_relative_error")  # fmt: skip


def mechanisms_table(tables: Tables, signals: pd.DataFrame) -> pd.DataFrame:
    """One row per place and comparison that applies; `predicted` is left to `scorepath.stages._roughness`."""
    rows = _joined(tables, signals)
    if rows.empty:
        return empty("mechanisms")
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = rows.assign(**_numbers(rows))
    records = rows.to_dict("records")
    words = [next(name for name, holds in MECHANISMS.items() if holds(row)) for row in records]
    rows["mechanism"] = words
    rows["sentence"] = [SENTENCES[word](row) + _remarks(word, row) for word, row in zip(words, records, strict=True)]
    return rows.reindex(columns=COLUMNS["mechanisms"])


# --- what was measured ------------------------------------------------------------------------------------------------


def _joined(tables: Tables, signals: pd.DataFrame) -> pd.DataFrame:
    """Every comparison that applies with what its two sides, its reference and its signals are."""
    verdicts = tables.read_verdicts()
    verdicts = verdicts[verdicts["statistic"] == "log10_mse_ratio"]
    key = [*PLACE, "comparison"]
    rows = verdicts[(verdicts["criterion"] == "equal_samples") & ~verdicts["verdict"].isin(["", "not_applicable"])]
    seconds = verdicts.loc[verdicts["criterion"] == "equal_compute", [*key, "rival", "verdict", "value"]]
    seconds = seconds.rename(columns={"verdict": "verdict_at_equal_seconds", "value": "value_at_equal_seconds"})
    # at equal seconds another rival may be the best: then the difference is not that of one pair's prices
    rows = rows.merge(seconds, on=[*key, "rival"], how="left")
    rows["verdict_at_equal_seconds"] = rows["verdict_at_equal_seconds"].fillna("")
    references = tables.read("references")
    certified = references["reference_class"] != UNCERTIFIED
    norms = references.assign(norm=references["gradient_norm"].where(certified & (references["gradient_norm"] > 0)))
    rows = rows.merge(norms[[*PLACE, "norm"]], on=PLACE, how="left")
    statistics = tables.read("gradient_statistics")
    pathwise = statistics[statistics["estimator"] == tables.called("pathwise")]
    still = statistics[
        (statistics["estimator"] == tables.called("deterministic_pathwise")) & (statistics["sigma"] == 0)
    ]
    own = pd.concat([pathwise, still]) if len(still) else pathwise
    rows = rows.merge(own.drop_duplicates(PLACE)[[*PLACE, *MEASURED]], on=PLACE, how="left")
    theirs = statistics[[*PLACE, "estimator", *MEASURED]].rename(columns={name: f"rival_{name}" for name in MEASURED})
    rows = rows.merge(theirs.rename(columns={"estimator": "rival"}), on=[*PLACE, "rival"], how="left")
    for name in ("proved_unbiased", "rival_proved_unbiased"):
        rows[name] = rows[name].eq(True)  # a side that is not there proves nothing
    corrected = statistics[statistics["estimator"] == tables.called("boundary_corrected")]
    corrected = corrected[[*PLACE, "squared_bias"]].rename(columns={"squared_bias": "corrected_squared_bias"})
    rows = rows.merge(corrected, on=PLACE, how="left")
    best = rows.loc[rows["comparison"] == BEST, [*PLACE, "verdict", "value"]]
    best = best.rename(columns={"verdict": "best_verdict", "value": "best_value"})
    rows = rows.merge(best, on=PLACE, how="left")
    rows["best_verdict"] = rows["best_verdict"].fillna("")
    return rows.merge(signals, on=PLACE, how="left")


def _numbers(rows: pd.DataFrame) -> dict[str, Any]:
    """The numbers that mechanisms are told by."""
    proved, their_proved = rows["proved_unbiased"], rows["rival_proved_unbiased"]
    square, square_low = (rows[name].mask(proved, 0.0) for name in ("squared_bias", "squared_bias_low"))
    batch_square = rows["variance"] / rows["budget"] + rows["norm"] ** 2
    return {
        "bias_share": np.sqrt(square) / rows["norm"], "bias_share_low": np.sqrt(square_low) / rows["norm"],
        "bias_of_error": square / rows["mse_equal_samples"],
        "rival_bias_of_error": rows["rival_squared_bias"].mask(their_proved, 0.0) / rows["rival_mse_equal_samples"],
        "corrected_bias_share": np.sqrt(rows["corrected_squared_bias"]) / rows["norm"],
        "mean_degree": rows["slope"] / rows["return_variance"],
        # the terms of the difference identity in units of the variance of pathwise's signal
        "noise_term": rows["coordinates"] * rows["return_variance"] / rows["signal_variance"],
        "slope_term": rows["slope"] / rows["signal_variance"],
        "curvature_term": 2 * (rows["cross"] - rows["slope"]) / rows["signal_variance"],
        # over the steps that have a signal: a delay leaves the last ones without, and what is not there does not grow
        "growth_decades": rows["growth_rate"] * (rows["growth_steps"] - 1) / math.log(10),
        "growth_decades_low": rows["growth_rate_low"] * (rows["growth_steps"] - 1) / math.log(10),
        "expansion_decades": rows["expansion_rate"] * (rows["steps"] - 1) / math.log(10),
        "expansion_decades_low": rows["expansion_rate_low"] * (rows["steps"] - 1) / math.log(10),
        "baseline_gain": (rows["value"] - rows["best_value"]).where(rows["comparison"] == REINFORCE),
        # the relative error of a batch's mean, squared, in units of the error that the estimate has anyway
        "single_precision": rows["float32_relative_error"] ** 2 * batch_square / rows["mse_equal_samples"],
        "seconds_shift": rows["value_at_equal_seconds"] - rows["value"],
    }  # fmt: skip


# --- what is named first ----------------------------------------------------------------------------------------------


def _blind(row: Row) -> bool:
    """Whether pathwise misses a part of the gradient that is surely there, and that decides its error."""
    if row["verdict"] == "pathwise" or row["proved_unbiased"]:
        return False
    if row["zero_fraction"] == 1 and row["norm"] > 0:
        return True
    return row["bias_share_low"] > LEAST and row["bias_p_value"] < SURE and row["bias_of_error"] >= MOST


def _heavy(row: Row) -> bool:
    """Whether the larger error rests on a hundredth of the samples, or is not to be measured, or not to be seen."""
    if row["verdict"] in ("no_signal", "not_measurable") or _unmeasured(row):
        return True
    share = row["rival_tail_share" if _won(row) else "tail_share"]
    return row["verdict"] in DECIDED and bool(share >= MOST)


def _unmeasured(row: Row) -> bool:
    """Whether a side has no variance though a winner could be named."""
    return any(isinstance(row[name], str) and bool(row[name]) for name in ("not_measurable", "rival_not_measurable"))


def _lost(row: Row) -> bool:
    return row["verdict"] in RIVALS


def _won(row: Row) -> bool:
    return bool(row["verdict"] == "pathwise")


def _rough(row: Row) -> bool:
    """Whether the identity, or its first term alone, gives the score function the smaller variance."""
    return bool(row["noise_term"] < 1 or _difference(row) < 0)


def _difference(row: Row) -> float:
    """Of the score function's variance and pathwise's, in units of the latter, by the identity."""
    return float(row["noise_term"] + row["slope_term"] + row["curvature_term"])


def _grown(row: Row) -> bool:
    """Whether signals surely grow by a decade over the horizon: dynamics that expand do it, sums of rewards as well."""
    return bool(row["growth_decades_low"] >= 1)


def _expands(row: Row) -> bool:
    """Whether the dynamics surely do, by a decade over the horizon."""
    return bool(row["expansion_decades_low"] >= 1)


MECHANISMS: dict[str, Callable[[Row], bool]] = {
    MISSING: _blind,
    TAILS: _heavy,
    BOTH_NOISY: lambda row: row["verdict"] == "neither_usable",
    BALANCE: lambda row: row["verdict"] not in DECIDED,
    EXACT: lambda row: _won(row) and row["variance"] == 0,
    COST: lambda row: (
        row["verdict_at_equal_seconds"] in DECIDED and _won(row) != (row["verdict_at_equal_seconds"] == "pathwise")
    ),
    PRECISION: lambda row: row["dtype"] == "float32" and row["single_precision"] >= 1,
    GROWTH: lambda row: _lost(row) and _grown(row) and _expands(row) and _rough(row),
    ROUGHNESS: lambda row: _lost(row) and _rough(row),
    BASELINE: lambda row: _won(row) and row["comparison"] == REINFORCE and row["best_verdict"] not in ("", "pathwise"),
    RIVALS_BIAS: lambda row: _won(row) and row["rival_bias_of_error"] >= MOST,
    SCORE_NOISE: lambda row: _won(row) and _difference(row) > 0,
    RIVALS_VARIANCE: lambda row: (
        row["comparison"] == BEST_OF_ALL
        and math.isfinite(row["rival_variance"] - row["variance"])
        and _won(row) == (row["rival_variance"] > row["variance"])
    ),
    UNEXPLAINED: lambda row: True,
}
"""Each mechanism and when it is the one that decides, in the order in which they are tried."""


# --- in words ---------------------------------------------------------------------------------------------------------


def _number(value: float, digits: int = 2) -> str:
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.{digits - 1}e}"
    return f"{float(f'{value:.{digits}g}'):g}"  # 150, not 1.5e+02


def _missing_words(row: Row) -> str:
    if row["zero_fraction"] == 1:
        return (
            "Every pathwise sample is zero, but the gradient is not: all of it comes from what pathwise does not see."
        )
    return (
        f"Pathwise misses {_number(100 * row['bias_share'])} % of the gradient (at least"
        f" {_number(100 * row['bias_share_low'])} %), and {_number(100 * row['bias_of_error'])} % of its mean squared"
        " error is that bias."
    )


def _tail_words(row: Row) -> str:
    if row["verdict"] == "no_signal":
        return "Every sample of a side is zero: what the gradient is made of is rarer than one sample in all that were."
    for side, name in (("Pathwise", "not_measurable"), ("The rival", "rival_not_measurable")):
        if isinstance(row[name], str) and row[name]:
            return f"{side} has no variance that these samples can measure: {row[name]}."
    side, share = ("the rival", "rival_tail_share") if _won(row) else ("pathwise", "tail_share")
    return f"The largest hundredth of the samples holds {_number(100 * row[share])} % of the variance of {side}."


def _noise_words(row: Row) -> str:
    return (
        f"In {row['coordinates']:.0f} {'coordinate' if row['coordinates'] == 1 else 'coordinates'} of noise the return"
        f" has the mean degree {_number(row['mean_degree'])}. In units of the variance of pathwise’s signal, the"
        f" difference identity gives a score function {_number(row['noise_term'])} by its own noise,"
        f" {_number(row['slope_term'])} by the slope and {_number(row['curvature_term'])} by the curvature."
    )


def _growth_words(row: Row) -> str:
    return (
        f"The second moment of pathwise’s action signal grows by a factor {_number(math.exp(row['growth_rate']))} per"
        f" step backwards, {_number(row['growth_decades'])} decades over the horizon, but the return does not grow with"
        f" it: a score function’s own noise gives it {_number(row['noise_term'])} times the variance of that signal."
    )


def _cost_words(row: Row) -> str:
    return (
        f"The logarithm of the ratio of errors is {_number(row['value'])} at equal samples and"
        f" {_number(row['value'] + row['seconds_shift'])} at equal seconds: what a sample costs turns it round."
    )


SENTENCES: dict[str, Callable[[Row], str]] = {
    MISSING: _missing_words,
    TAILS: _tail_words,
    BOTH_NOISY: lambda row: "The smaller of both errors is at least the gradient’s square: zero would do as well.",
    BALANCE: lambda row: "The two errors are too near to each other for these samples.",
    EXACT: lambda row: "Pathwise’s samples do not differ: without action noise it is the derivative itself.",
    COST: _cost_words,
    PRECISION: lambda row: (
        f"Rounding in single precision has {_number(row['single_precision'])} times pathwise’s error."
    ),
    GROWTH: _growth_words,
    ROUGHNESS: _noise_words,
    BASELINE: lambda row: (
        f"Without a baseline the error is 10^{_number(row['baseline_gain'])} times that of the best score function,"
        " against which pathwise does not win."
    ),
    RIVALS_VARIANCE: lambda row: (
        f"The identity speaks of score functions. The rival here, {row['rival'].replace('_', ' ')}, has"
        f" {_number(row['rival_variance'] / row['variance'])} times pathwise’s variance."
    ),
    RIVALS_BIAS: lambda row: f"{_number(100 * row['rival_bias_of_error'])} % of the rival’s error is a bias.",
    SCORE_NOISE: _noise_words,
    UNEXPLAINED: lambda row: "None of these measurements tells why.",
}


def _remarks(word: str, row: Row) -> str:
    """What else is worth knowing there."""
    found = ""
    if word == MISSING and row["corrected_bias_share"] < row["bias_share"]:
        found += f" With the boundary term {_number(100 * row['corrected_bias_share'])} % remain."
    if word in (SCORE_NOISE, BOTH_NOISY) and _grown(row):
        found += f" Pathwise’s signals grow by {_number(row['growth_decades'])} decades over the horizon"
        if _expands(row):
            found += ": chaos." if _rough(row) else ", the score function’s noise with them: unstable, not chaotic."
        else:
            found += "."
    if word != PRECISION and row["single_precision"] >= 1:
        found += f" In single precision rounding alone would have {_number(row['single_precision'])} times this error."
    return found
