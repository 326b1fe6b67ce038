"""The claims ledger: what the field says, what the study's own tables measured, and whether the two agree.

One function per claim. It finds its instances by family, so a study without them has no such row. A prediction
states its tolerance: `confirmed` if the whole 95 % interval lies within it, `refuted` if none of it does,
else `undecided`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest, norm, spearmanr

from scorepath.stages._instances import make_environment
from scorepath.store.paths import TABLES
from scorepath.store.tables import COLUMNS, Tables, save

if TYPE_CHECKING:
    from scorepath.study.cells import Plan

RESAMPLES = 2000


@dataclass(frozen=True)
class Evidence:
    """The study's tables and its configured environments."""

    statistics: pd.DataFrame
    references: pd.DataFrame
    verdicts: pd.DataFrame
    environments: tuple[dict[str, Any], ...]
    seed: int
    called: Callable[[str], str]
    """From a method to the name of the study's first estimator that is this method."""

    def instances(self, family: str) -> Iterator[dict[str, Any]]:
        """Configured instances of a family: name and all knobs, defaults included."""
        return (entry for entry in self.environments if entry["family"] == family)

    def rows(self, environment: str, method: str, checkpoint: float | None = 0.0) -> pd.DataFrame:
        """Gradient statistics of a method at sigma > 0 with the reference's norm, by rising noise level.

        They are those of the study's first estimator that is this method, whatever it is called.
        """
        table = self.statistics.merge(
            self.references[["environment", "sigma", "checkpoint", "gradient_norm"]],
            on=["environment", "sigma", "checkpoint"],
        )
        chosen = (
            (table["environment"] == environment) & (table["estimator"] == self.called(method)) & (table["sigma"] > 0)
        )
        if checkpoint is not None:
            chosen &= table["checkpoint"] == checkpoint
        return table[chosen].sort_values(["sigma", "checkpoint"])


def row(
    claim: str,
    source: str,
    prediction: str,
    measured: tuple[float, float, float],
    accepted: tuple[float, float],
    figure: str,
) -> dict[str, Any]:
    """A ledger row; `measured` is (value, low, high) and `accepted` the range that would confirm the claim."""
    value, low, high = measured
    if accepted[0] <= low and high <= accepted[1]:
        verdict = "confirmed"
    elif high < accepted[0] or low > accepted[1]:
        verdict = "refuted"
    else:
        verdict = "undecided"
    return dict(zip(COLUMNS["claims"], (claim, source, prediction, value, low, high, verdict, figure), strict=True))


def slope(rows: pd.DataFrame, column: str) -> tuple[float, float, float] | None:
    """Logarithmic slope in sigma between the two smallest noise levels; limits from the worst corners of both.

    None where there are no two, or their values have no logarithm.
    """
    if len(rows) < 2 or not ((rows[column] > 0) & np.isfinite(rows[column])).iloc[:2].all():
        return None
    first, second = rows.iloc[0], rows.iloc[1]
    distance = math.log(second["sigma"] / first["sigma"])

    def between(start: str, end: str) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):  # the logarithm of a limit at or below 0 is infinite
            return float(np.log(np.divide(max(0.0, second[end]), max(0.0, first[start]))) / distance)

    return (
        between(column, column),
        between(f"{column}_high", f"{column}_low"),
        between(f"{column}_low", f"{column}_high"),
    )


def small_noise(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Without a baseline, the score function's variance grows as sigma^-2."""
    for entry in evidence.instances("quadratic"):
        if measured := slope(evidence.rows(entry["name"], "reinforce"), "variance"):
            prediction = f"REINFORCE on {entry['name']}: log slope of the variance -2 (within 0.15) as sigma falls"
            yield row("small-noise", "folk; derived", prediction, measured, (-2.15, -1.85), "variance")


def deterministic_limit(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """The gradient of the noiseless policy differs from grad J_sigma by O(sigma^2) where the return is smooth."""
    for entry in evidence.instances("cosine"):
        if found := slope(evidence.rows(entry["name"], "deterministic_pathwise"), "squared_bias"):
            value, low, high = (limit / 2 for limit in found)
            prediction = f"deterministic pathwise on {entry['name']}: log slope of the bias 2 (within 0.15)"
            measured = value, low, high
            yield row("deterministic-limit", "Silver 2014 theorem 2", prediction, measured, (1.85, 2.15), "bias")


def step_bias(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """On a step, pathwise has no variance and misses the whole gradient; so does a mixture that trusts variance."""
    for entry in evidence.instances("step"):
        for claim, source, estimator in (
            ("step-bias", "Suh 2022, 3.3", "pathwise"),
            ("ivw-blind", "derived", "inverse_variance"),
        ):
            rows = evidence.rows(entry["name"], estimator)
            rows = rows[rows["gradient_norm"] > 0.1]
            if len(rows):
                share = rows["squared_bias"] / rows["gradient_norm"] ** 2
                low = rows["squared_bias_low"] / rows["gradient_norm"] ** 2
                high = rows["squared_bias_high"] / rows["gradient_norm"] ** 2
                prediction = f"{estimator} on {entry['name']}: squared bias over squared gradient 1 (within 0.01)"
                yield row(claim, source, prediction, (share.mean(), low.min(), high.max()), (0.99, 1.01), "bias")


def no_universal_ranking(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """On a quadratic, the coupled measure-valued derivative beats pathwise iff |mu - offset| < 1.913 sigma."""
    for entry in evidence.instances("quadratic"):
        if entry["knobs"]["dimension"] != 1:
            continue
        keys = ["sigma", "checkpoint"]
        pathwise = evidence.rows(entry["name"], "pathwise", None).set_index(keys)
        both = pathwise.join(evidence.rows(entry["name"], "measure_valued", None).set_index(keys).add_suffix("_mvd"))
        distance = both["gradient_norm"] / 2  # the gradient of -(mu - offset)^2 is twice the distance
        predicted = distance < 1.913 * both.index.get_level_values("sigma")
        better = both["variance_high_mvd"] < both["variance_low"]
        worse = both["variance_low_mvd"] > both["variance_high"]
        decided = better | worse
        right = int((better == predicted)[decided].sum())
        if decided.any():
            limits = binomtest(right, int(decided.sum())).proportion_ci()
            prediction = (
                f"{entry['name']}: of the clear comparisons of measure-valued with pathwise, the share that"
                f" follows |d| < 1.913 sigma is 1 (n = {decided.sum()}; at least 0.7 by the exact binomial interval)"
            )
            measured = right / int(decided.sum()), limits.low, limits.high
            yield row("no-universal-ranking", "Mohamed 2020 sec. 3", prediction, measured, (0.7, 1.0), "variance")


def empirical_bias(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """A narrow ramp is rarely hit: most pathwise samples are exactly zero, though their mean is right."""
    for entry in evidence.instances("soft_step"):
        rows = evidence.rows(entry["name"], "pathwise")
        if rows.empty:
            continue
        last = rows.iloc[-1]  # the largest noise
        width, edge, sigma = entry["knobs"]["width"], entry["knobs"]["edge"], last["sigma"]
        # the initial mean is 0
        zeros = 1 - (norm.cdf((edge + width / 2) / sigma) - norm.cdf((edge - width / 2) / sigma))
        seen = binomtest(round(last["zero_fraction"] * last["samples"]), int(last["samples"]))
        limits = seen.proportion_ci()
        measured = last["zero_fraction"], limits.low, limits.high
        accepted = (zeros - 0.02, min(1.0, zeros + 0.02))
        prediction = f"pathwise on {entry['name']} at sigma = {sigma:g}: a share {zeros:.4f} of zeros (within 0.02)"
        yield row("empirical-bias", "Suh 2022, 3.6", prediction, measured, accepted, "identity")


def chaos_crossing(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """With noise at every step of angle doubling, second moments cross where sigma^2 sum k_t^2 = T."""
    for entry in evidence.instances("angle_doubling"):
        if entry["knobs"]["noise_at"] != "every_step":
            continue
        horizon = int(entry["knobs"]["doublings"])
        predicted = math.sqrt(horizon / sum(4.0 ** (horizon - t + 1) for t in range(horizon)))
        moments = {}
        for estimator in ("pathwise", "reinforce"):
            rows = evidence.rows(entry["name"], estimator).set_index("sigma")
            square = rows["gradient_norm"] ** 2
            moments[estimator] = [rows[f"variance{end}"] + square for end in ("", "_low", "_high")]
        if len(moments["pathwise"][0]) < 2 or len(moments["reinforce"][0]) < 2:
            continue
        # pathwise lowest against reinforce highest crosses last, and the other way round first
        crossings = [
            crossing(moments["pathwise"][own], moments["reinforce"][other]) for own, other in ((0, 0), (2, 1), (1, 2))
        ]
        if all(map(math.isfinite, crossings)):
            prediction = f"{entry['name']}: second moments cross at sigma = {predicted:.3g} (within 20 %)"
            accepted = predicted / 1.2, predicted * 1.2
            measured = crossings[0], crossings[1], crossings[2]
            yield row("chaos", "Parmas 2018; derived", prediction, measured, accepted, "variance")


def crossing(ours: pd.Series, theirs: pd.Series) -> float:
    """Where two curves over sigma cross for the first time, by log-log interpolation; nan if they do not."""
    both = (ours / theirs).dropna()  # where both are measured
    ratio, position = np.log(both.to_numpy()), np.log(both.index.to_numpy())
    for i in range(len(ratio) - 1):
        if ratio[i] < 0 <= ratio[i + 1]:
            share = -ratio[i] / (ratio[i + 1] - ratio[i])
            return math.exp(position[i] + share * (position[i + 1] - position[i]))
    return math.nan


def learning_follows_error(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """The smaller gradient error at equal steps goes with the faster learning."""
    table = evidence.verdicts[evidence.verdicts["comparison"] == "pathwise_vs_best_score_function"]
    keys = ["environment", "sigma"]
    error = table[table["criterion"] == "equal_steps"].groupby(keys)["value"].mean()
    learnt = table[(table["criterion"] == "training") & (table["statistic"] == "score_difference")]
    learnt = learnt.set_index(keys)["value"]
    both = pd.concat([error, learnt], axis=1, keys=["error", "learnt"]).dropna().to_numpy()
    if len(both) < 5:
        return
    measured = float(spearmanr(*both.T).statistic)
    if math.isnan(measured):  # one of the two is the same everywhere
        return
    generator = np.random.default_rng(evidence.seed)
    draws = [spearmanr(*both[generator.integers(len(both), size=len(both))].T).statistic for _ in range(RESAMPLES)]
    low, high = np.nanquantile(draws, [0.025, 0.975])
    prediction = (
        f"rank correlation above 0 between log10 error ratio at equal steps and difference learnt (n = {len(both)})"
    )
    yield row("learning-follows-mse", "none found", prediction, (measured, low, high), (0.0, 1.0), "learning_curves")


CLAIMS: tuple[Callable[[Evidence], Iterator[dict[str, Any]]], ...] = (
    small_noise,
    deterministic_limit,
    step_bias,
    no_universal_ranking,
    empirical_bias,
    chaos_crossing,
    learning_follows_error,
)


def claims(plan: Plan) -> None:
    """Judge the claims ledger from the tables.

    A claim that the study has no data for has no row.
    """
    tables = Tables(TABLES, plan.methods)
    evidence = Evidence(
        statistics=tables.read("gradient_statistics"),
        references=tables.read("references"),
        verdicts=tables.read("verdicts"),
        environments=tuple(
            {"name": name, "family": entry.family, "knobs": asdict(make_environment(entry)[0])}
            for name, entry in plan.study.environments.items()
        ),
        seed=plan.study.seed,
        called=tables.called,
    )
    save("claims", pd.DataFrame([found for claim in CLAIMS for found in claim(evidence)], columns=COLUMNS["claims"]))
