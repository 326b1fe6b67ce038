"""What the verdicts come to: wins by noise level and by environment, and what rules of thumb would have cost.

A rule says which gradient to take at a place. Its regret is its error over the smaller one of pathwise and its rival:
1 is as good as knowing the winner beforehand, and a mixture of both can be better than that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scorepath.stages._measurements import Measured, Measurements, Place, halves, with_equal_batches
from scorepath.stages._verdicts import BEST, BEST_OF_ALL, WINNERS
from scorepath.store.paths import sigma_token
from scorepath.store.tables import COLUMNS
from scorepath.summaries import (
    Clustered,
    chosen_elsewhere,
    clustered_mean,
    clustered_share,
    mean_chosen_elsewhere,
    mean_of_clusters,
)
from scorepath.verdicts import (
    EQUIVALENT,
    NEITHER_USABLE,
    NO_SIGNAL,
    NOT_APPLICABLE,
    NOT_MEASURABLE,
    UNDECIDED,
    Side,
)

if TYPE_CHECKING:
    from scorepath.study.settings import Study

OPEN = (EQUIVALENT, UNDECIDED, NO_SIGNAL, NEITHER_USABLE, NOT_MEASURABLE, NOT_APPLICABLE)
"""The verdicts that name no winner."""
GROUPS = ("", "sigma", "environment", "checkpoint")
"""What wins are counted by; first all of them together."""
PATHWISE, RIVAL, BELOW = "always_pathwise", "always_rival", "pathwise_below_threshold"
"""The rules, beside the mixtures of the study by their names."""
MOST = 6.0
"""Decades between two errors that count at most: a few thousand samples cannot tell a rarer error from none."""


# --- wins -------------------------------------------------------------------------------------------------------------


def wins_table(verdicts: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Verdicts by gradient error counted, and pathwise's share of the decided ones with limits over environments."""
    own = verdicts[verdicts["statistic"] == "log10_mse_ratio"]
    own = own.assign(cluster=own["environment"].map(study.original))
    rows = []
    for (comparison, criterion), group in own.groupby(["comparison", "criterion"], sort=False):
        for by in GROUPS:
            parts = group.groupby(by, sort=False) if by else [("", group)]
            for level, part in parts:
                name = level if isinstance(level, str) else sigma_token(level)
                rows.append({"comparison": comparison, "criterion": criterion, "by": by or "all", "level": name}
                            | _counts(part, WINNERS[str(comparison)]))  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS["wins"])


def _counts(verdicts: pd.DataFrame, rival: str) -> dict[str, Any]:
    words, environments = verdicts["verdict"].to_numpy(str), verdicts["cluster"].to_numpy(str)
    won, lost = words == "pathwise", words == rival
    _, clusters = np.unique(environments[won | lost], return_inverse=True)
    totals = np.bincount(clusters)
    share = clustered_share(np.bincount(clusters, weights=won[won | lost]), totals.astype(float))
    return {
        "pathwise_wins": int(won.sum()), "rival_wins": int(lost.sum()),
        **{word: int((words == word).sum()) for word in OPEN},
        "share": share.value, "share_low": share.low, "share_high": share.high, "environments": len(totals),
    }  # fmt: skip


# --- regrets ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Regrets:
    """Logarithmic regrets (base 10) of rules at places, of one comparison by one criterion.

    | field | meaning |
    |---|---|
    | places | where one of the two is of use |
    | of | by rule, (places,); nan where a rule's estimator does not exist |
    """

    places: list[Place]
    of: Mapping[str, np.ndarray]


def regrets_table(measurements: Measurements, verdicts: pd.DataFrame) -> pd.DataFrame:
    """The geometric mean of every rule's regret over places, with limits over environments.

    Args:
        measurements: the study's results.
        verdicts: their verdicts by criteria without timings, which name each place's rival.
    """
    rows = []
    criteria = "equal_samples", "equal_steps"
    errors = {criterion: _errors(measurements, criterion) for criterion in criteria}
    for comparison in (BEST, BEST_OF_ALL):
        for criterion in criteria:
            chosen = (verdicts["comparison"] == comparison) & (verdicts["criterion"] == criterion)
            regrets = _regrets(measurements, verdicts[chosen], errors[criterion])
            found = *_rows(regrets), *_threshold_rows(regrets, measurements.study.noise_levels)
            rows += [{"comparison": comparison, "criterion": criterion} | row for row in found]
    return pd.DataFrame(rows, columns=COLUMNS["regrets"])


def _regrets(measurements: Measurements, verdicts: pd.DataFrame, known: Mapping[tuple[Place, str], float]) -> Regrets:
    """At the places with action noise where the smaller of the two errors is known to be of use."""
    mixtures = list(dict.fromkeys(
        cell.estimator for cell in measurements.plan.cells if cell.stage == "gradients" and cell.family == "mixture"
    ))  # fmt: skip
    places: list[Place] = []
    of: dict[str, list[float]] = {name: [] for name in (PATHWISE, RIVAL, *mixtures)}

    def error(side: Measured | None) -> float:
        return math.nan if side is None else known[side.place, side.cell.estimator]

    usable = (verdicts["sigma"] > 0) & (verdicts["relative_error"] < 1)
    for verdict in verdicts[usable & ~verdicts["verdict"].isin([NOT_APPLICABLE, NOT_MEASURABLE])].itertuples():
        place = Place(verdict.environment, sigma_token(verdict.sigma), verdict.checkpoint)
        errors = {
            PATHWISE: error(measurements.pathwise(place)),
            RIVAL: error(measurements.standing_for(place, verdict.rival)),
            **{name: error(measurements.standing_for(place, name)) for name in mixtures},
        }  # fmt: skip
        best = min(errors[PATHWISE], errors[RIVAL])
        places.append(place._replace(environment=measurements.study.original(place.environment)))
        for name, own in errors.items():
            of[name].append(_log_ratio(own, best))
    return Regrets(places, {name: np.array(values) for name, values in of.items()})


def _errors(measurements: Measurements, criterion: str) -> dict[tuple[Place, str], float]:
    """Mean squared errors on the batches that judge, those of zero where all samples are zero."""
    known = {}
    for indices in with_equal_batches(measurements.gradients):
        found = [measurements.gradients[index] for index in indices]
        prices = np.array([each.price(criterion) for each in found])
        side = Side([each.components for each in found], prices, measurements.study.gradients.batch_size)
        squares = np.array([measurements.squares[each.place] for each in found])
        errors = np.where(side.blank, squares, side.errors(halves(found[0].batches)[1]))
        for each, error in zip(found, errors.tolist(), strict=True):
            known[each.place, each.cell.estimator] = error
    return known


def _log_ratio(error: float, best: float) -> float:
    """log10(error / best), `MOST` in size at most."""
    if math.isnan(error) or error == best:
        return math.nan if math.isnan(error) else 0.0
    if best == 0 or math.isinf(error):
        return MOST
    return -MOST if error == 0 else min(MOST, max(-MOST, math.log10(error / best)))


def _rows(regrets: Regrets) -> Iterator[dict[str, Any]]:
    """The rules that are the same everywhere: one of the two sides, or a mixture of them."""
    for rule, values in regrets.of.items():
        sums, counts, names = _by_environment(regrets.places, values)
        if names:
            # the smaller of both sides' errors is no larger than either; a mixture's may be smaller still
            positive = rule in (PATHWISE, RIVAL)
            mean = clustered_mean(mean_of_clusters(sums, counts), len(names), positive=positive)
            yield {"rule": rule} | _columns(mean, sums, counts, names) | _over_simple(regrets, values)


def _threshold_rows(regrets: Regrets, levels: tuple[float, ...]) -> Iterator[dict[str, Any]]:
    """Pathwise wherever sigma is below a threshold: of each environment, the one that suits all others best."""
    options = np.array([*sorted(level for level in levels if level > 0), math.inf])
    sigmas = np.array([float(place.sigma) for place in regrets.places])
    followed = [np.where(sigmas < option, regrets.of[PATHWISE], regrets.of[RIVAL]) for option in options]
    parts = [_by_environment(regrets.places, values) for values in followed]
    sums, (_, counts, names) = np.stack([part[0] for part in parts], axis=1), parts[0]
    if len(names) < 2:
        return
    chosen = chosen_elsewhere(sums, counts)
    mean = clustered_mean(mean_chosen_elsewhere(sums, counts), len(names), positive=True)
    thresholds = options[chosen.choices]
    own = dict(zip(names, chosen.choices, strict=True))
    values = np.array([followed[own[place.environment]][index] for index, place in enumerate(regrets.places)])
    yield {
        "rule": BELOW, "threshold": options[sums.sum(0).argmin()], "threshold_low": thresholds.min(),
        "threshold_high": thresholds.max(), **_columns(mean, chosen.sums, counts, names),
        **_over_simple(regrets, values),
    }  # fmt: skip


def _over_simple(regrets: Regrets, values: np.ndarray) -> dict[str, float]:
    """A rule's error over that of the better of the two simplest rules, always the one side or always the other."""
    better = min((PATHWISE, RIVAL), key=lambda rule: float(regrets.of[rule].mean()))
    sums, counts, names = _by_environment(regrets.places, values - regrets.of[better])
    mean = clustered_mean(mean_of_clusters(sums, counts), len(names), positive=False)
    low, high = np.clip([mean.low, mean.high], -MOST, MOST)
    return {"over_simple": 10**mean.value, "over_simple_low": 10**low, "over_simple_high": 10**high}


def _columns(mean: Clustered, sums: np.ndarray, counts: np.ndarray, names: list[str]) -> dict[str, Any]:
    worst = int((sums / counts).argmax())
    low, high = np.clip([mean.low, mean.high], -MOST, MOST)  # beyond it no mean can lie
    return {
        "regret": 10**mean.value, "regret_low": 10**low, "regret_high": 10**high,
        "places": int(counts.sum()), "environments": len(names), "worst": 10 ** (sums[worst] / counts[worst]),
        "worst_environment": names[worst],
    }  # fmt: skip


def _by_environment(places: list[Place], values: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Sum and number of the values that there are, for each environment that has any."""
    there = ~np.isnan(values)
    names = list(dict.fromkeys(place.environment for place, known in zip(places, there, strict=True) if known))
    own = np.array([place.environment for place in places])
    sums = np.array([values[there & (own == name)].sum() for name in names])
    counts = np.array([float((there & (own == name)).sum()) for name in names])
    return sums, counts, names
