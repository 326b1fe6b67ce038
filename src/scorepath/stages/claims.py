"""The claims ledger, gathered: what experiments of their own have found, and what the study's own tables measured.

The former are in `scorepath.claims`. Here stands one function per claim of the latter. It finds its instances by
family, so a study without them has no such row. What it predicts is a formula of its own, free of the references and
estimators that the study is made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest, norm

from scorepath.scores import LATE
from scorepath.stages._instances import make_environment
from scorepath.stages._ledger import (
    Evidence,
    Interval,
    average,
    exponential,
    limits_of,
    log_ratio,
    row,
    slope,
    step_between,
)
from scorepath.stages._measurements import read_rows
from scorepath.stages._summaries import MOST
from scorepath.stages._verdicts import BEST, BEST_OF_ALL
from scorepath.store.paths import TABLES, claim_path
from scorepath.store.tables import COLUMNS, Tables, save
from scorepath.summaries import FEWEST, clustered_mean, clustered_share, mean_of_clusters

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def small_noise(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Without a baseline, the score function's variance grows as sigma^-2."""
    for entry in evidence.instances("quadratic"):
        rows = evidence.rows(entry["name"], "reinforce")
        if measured := slope(rows, "variance"):
            # the gradient of -|mu - offset|^2 is twice the distance
            places = zip(rows["gradient_norm"] / 2, rows["sigma"], strict=True)
            values = [reinforce_variance(distance, entry["knobs"]["dimension"], sigma) for distance, sigma in places]
            predicted = math.log(values[1] / values[0]) / step_between(rows)
            prediction = (
                f"REINFORCE on {entry['name']}: log slope of the variance between the two smallest noise levels"
                f" {predicted:.3f}, and -2 in the limit (within 0.1)"
            )
            accepted = predicted - 0.1, predicted + 0.1
            yield row("small-noise", "folk; derived", prediction, measured, predicted, accepted, "variance")


def reinforce_variance(distance: float, dimension: int, sigma: float) -> float:
    """Trace variance of `-|d + sigma eps|^2 eps / sigma` in D dimensions, by Gaussian moments."""
    square, noise = distance**2, sigma**2
    second = (
        square**2 * dimension / noise
        + square * (4 + 2 * dimension) * (dimension + 2)
        + noise * dimension * (dimension + 2) * (dimension + 4)
    )
    return second - 4 * square


def deterministic_limit(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """The gradient of the noiseless policy differs from grad J_sigma by O(sigma^2) where the return is smooth.

    On the cosine of frequency k, grad J_sigma = grad J_0 exp(-(k sigma)^2 / 2): so large is the bias, and so it grows.
    """
    source = "Silver 2014 theorem 2"
    for entry in evidence.instances("cosine"):
        rows = evidence.rows(entry["name"], "deterministic_pathwise")
        where = f"deterministic pathwise on {entry['name']}"
        exponents = (entry["knobs"]["frequency"] * rows["sigma"]) ** 2 / 2
        if found := slope(rows, "squared_bias"):
            value, low, high = (limit / 2 for limit in found)
            first, second = -np.expm1(-exponents.iloc[:2])
            predicted = math.log(second / first) / step_between(rows)
            prediction = (
                f"{where}: log slope of the bias between the two smallest noise levels {predicted:.3f}, and 2 in the"
                " limit (within 0.05)"
            )
            accepted = predicted - 0.05, predicted + 0.05
            yield row("deterministic-limit", source, prediction, (value, low, high), predicted, accepted, "bias")
        seen = rows[exponents <= 0.5]
        if len(seen):
            place = seen.iloc[-1]
            predicted = math.expm1(exponents[seen.index[-1]])
            value, low, high = (
                math.sqrt(max(0.0, place[f"squared_bias{end}"])) / place["gradient_norm"]
                for end in ("", "_low", "_high")
            )
            prediction = f"{where} at sigma = {place['sigma']:g}: bias over gradient {predicted:.3g} (within 5 %)"
            accepted = 0.95 * predicted, 1.05 * predicted
            yield row("deterministic-limit", source, prediction, (value, low, high), predicted, accepted, "bias")


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
                shares = limits_of(rows, "squared_bias").div(rows["gradient_norm"] ** 2, axis=0)
                measured = average(shares.set_index(rows["checkpoint"]))
                prediction = f"{estimator} on {entry['name']}: squared bias over squared gradient 1 (within 0.01)"
                yield row(claim, source, prediction, measured, 1.0, (0.99, 1.01), "bias")


BREAK_EVEN = math.sqrt(4 / (16 / math.pi - 4))
"""Variances 4 sigma^2 (pathwise) and d^2 (16 / pi - 4) (coupled measure-valued) are equal at d = 1.913 sigma."""


def no_universal_ranking(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """On a quadratic, the coupled measure-valued derivative beats pathwise iff |mu - offset| < 1.913 sigma."""
    for entry in evidence.instances("quadratic"):
        if entry["knobs"]["dimension"] != 1:
            continue
        keys = ["sigma", "checkpoint"]
        ours, theirs = (
            evidence.rows(entry["name"], method, None).set_index(keys) for method in ("pathwise", "measure_valued")
        )
        both = ours.index.intersection(theirs.index)
        ours, theirs = ours.loc[both], theirs.loc[both]
        ours, theirs = (table[ours["gradient_norm"] > 0] for table in (ours, theirs))
        if ours.empty:
            continue
        # one variance goes with d^2, the other with sigma^2, so that every place tells where they would be equal
        places = ours["gradient_norm"] / 2 / ours.index.get_level_values("sigma")
        ratios = log_ratio(limits_of(ours, "variance"), limits_of(theirs, "variance")) / 2
        measured = exponential(average(ratios.add(np.log(places), axis=0)))
        prediction = (
            f"{entry['name']}: variances of the measure-valued derivative and of pathwise are equal at a distance of"
            f" {BREAK_EVEN:.3f} sigma from the optimum (within 8 %)"
        )
        accepted = BREAK_EVEN / 1.08, BREAK_EVEN * 1.08
        yield row("no-universal-ranking", "Mohamed 2020 sec. 3", prediction, measured, BREAK_EVEN, accepted, "variance")


def empirical_bias(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """A narrow ramp is rarely hit: most pathwise samples are exactly zero, though their mean is right."""
    for entry in evidence.instances("soft_step"):
        rows = evidence.rows(entry["name"], "pathwise")
        if rows.empty:
            continue
        knobs = entry["knobs"]
        shares = [seen_share(knobs["edge"], knobs["width"], sigma) for sigma in rows["sigma"]]
        place, share = rows.iloc[int(np.argmax(shares))], max(shares)  # where most is seen
        where = f"pathwise on {entry['name']} at sigma = {place['sigma']:g}"
        samples = int(place["samples"])
        seen = binomtest(round((1 - place["zero_fraction"]) * samples), samples)
        found = seen.proportion_ci()
        for prediction, measured, predicted, margin in (
            (f"{where}: a share {share:.3f} of the samples is not zero (within 20 %)",
             (1 - place["zero_fraction"], found.low, found.high), share, 0.2),
            (f"{where}: their mean over the exact gradient is 1 all the same (within 0.2)",
             tuple(place[f"projection{end}"] / place["gradient_norm"] for end in ("", "_low", "_high")), 1.0, 0.2),
        ):  # fmt: skip
            accepted = (1 - margin) * predicted, (1 + margin) * predicted
            yield row("empirical-bias", "Suh 2022, 3.6", prediction, measured, predicted, accepted, "identity")


def seen_share(edge: float, width: float, sigma: float) -> float:
    """The probability that an action, of mean 0, falls on the ramp."""
    return float(norm.cdf((edge + width / 2) / sigma) - norm.cdf((edge - width / 2) / sigma))


def chaos_crossing(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """With noise at every step of angle doubling, second moments cross where sigma^2 sum k_t^2 = T.

    Above it the angle is all but uniform, and pathwise's is (sigma / crossing)^2 times REINFORCE's.
    """
    for entry in evidence.instances("angle_doubling"):
        if entry["knobs"]["noise_at"] != "every_step":
            continue
        predicted = doubling_crossing(int(entry["knobs"]["doublings"]))
        moments = {}
        for estimator in ("pathwise", "reinforce"):
            rows = evidence.rows(entry["name"], estimator, None).set_index(["sigma", "checkpoint"])
            rows = rows[rows.index.get_level_values("sigma") >= predicted]
            moments[estimator] = limits_of(rows, "variance").add(rows["gradient_norm"] ** 2, axis=0)
        both = moments["pathwise"].index.intersection(moments["reinforce"].index)
        if both.empty:
            continue
        ratios = log_ratio(moments["reinforce"].loc[both], moments["pathwise"].loc[both]) / 2
        measured = exponential(average(ratios.add(np.log(both.get_level_values("sigma")), axis=0)))
        prediction = (
            f"{entry['name']}: second moments of pathwise and REINFORCE are equal at sigma = {predicted:.3g}, by the"
            " noise levels above (within 5 %)"
        )
        accepted = predicted / 1.05, predicted * 1.05
        yield row("chaos", "Parmas 2018; derived", prediction, measured, predicted, accepted, "variance")


def doubling_crossing(doublings: int) -> float:
    """Where `sigma^2 sum_t k_t^2 = T`, with `k_t = 2^(T + 1 - t)` radians of the last angle per radian of action t."""
    return math.sqrt(doublings / sum(4.0 ** (doublings + 1 - t) for t in range(doublings)))


def learning_follows_error(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Of two estimators, the one with the smaller gradient error learns more, at equally many samples.

    Which one it is can be compared between environments; by how much cannot, for each has returns of its own.
    """
    places = ["environment", "sigma"]
    errors = evidence.statistics[[*places, "checkpoint", "estimator", "mse_equal_samples"]]
    pairs = errors.merge(errors, on=[*places, "checkpoint"])
    ours, theirs = (pairs[f"mse_equal_samples_{side}"] for side in "xy")
    with np.errstate(divide="ignore"):  # an infinite error is the larger one
        pairs["ratio"] = np.log10((ours / theirs).where((ours > 0) & (theirs > 0))).clip(-MOST, MOST)
    pairs = pairs[pairs["estimator_x"] < pairs["estimator_y"]]
    ratios = pairs.groupby([*places, "estimator_x", "estimator_y"], as_index=False)["ratio"].mean()

    curves = evidence.training
    ends = curves.groupby(places)["iteration"].transform("max")
    late = curves[curves["iteration"] >= LATE * ends].groupby([*places, "estimator"])["return_stochastic"]
    # a run that is not finite has no return to compare
    learnt = late.mean().where(late.apply(lambda returns: bool(np.isfinite(returns).all())))
    learnt = learnt.reset_index(name="learnt")
    for side in "xy":
        own = learnt.rename(columns={"estimator": f"estimator_{side}", "learnt": f"learnt_{side}"})
        ratios = ratios.merge(own, on=[*places, f"estimator_{side}"])
    signs = np.sign(ratios["ratio"] * (ratios["learnt_x"] - ratios["learnt_y"]))
    decided = signs.abs() == 1
    own = (signs[decided] < 0).groupby(evidence.originals(ratios.loc[decided, "environment"]))
    if len(own) < FEWEST:
        return
    measured = clustered_share(own.sum().to_numpy(float), own.count().to_numpy(float))
    prediction = (
        "of two estimators the one with the smaller error, at equally many samples, learns more in over half of the"
        f" cases (n = {int(decided.sum())} in {len(own)} environments, which are the clusters)"
    )
    yield row("learning-follows-mse", "none found", prediction, _with_limits(*measured), None, (0.5, 1.0),
              "learning_curves")  # fmt: skip


def mix_when_in_doubt(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """The advice that regret supports: a mixture, everywhere, costs less than either side everywhere."""
    equal = evidence.regrets[evidence.regrets["criterion"] == "equal_steps"]
    for rule in equal[equal["rule"].isin(evidence.mixtures)].itertuples():
        rival = {BEST: "the best score function", BEST_OF_ALL: "the best derivative-free estimator"}[rule.comparison]
        where = f"{evidence.mixtures[rule.rule]} everywhere, at equal environment steps"
        prediction = (
            f"{where}: its error over that of the better of always pathwise and always {rival} is below 1 (geometric"
            f" mean over environments, which are the clusters, n = {rule.environments:.0f})"
        )
        measured = _with_limits(rule.over_simple, rule.over_simple_low, rule.over_simple_high)
        yield row("mix-when-in-doubt", "this project's first study", prediction, measured, None, (0.0, 1.0), "ledger")


MOST_BY_WEIGHTS = ((1 + math.sqrt(2)) / 2) ** 2
"""Weights by inverse variances of parents with standard deviations 1 and s <= 1 give `s (1 + s) / (1 + s^2)` if these
are fully correlated, and less otherwise. The square of that over s^2 is largest, 1.457, at s = sqrt(2) - 1."""


def mixing_arena(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Where both parents are unbiased, weights by inverse variances hardly cost more than the better parent.

    However the two depend on each other: a bound for known variances, which a batch only estimates. Where the better
    one's error exceeds the gradient's square it is of no use, and zero were better still.
    """
    keys = ["environment", "sigma", "checkpoint"]
    table = evidence.statistics[evidence.statistics["sigma"] > 0]
    table = table[table["environment"].isin([entry["name"] for entry in evidence.environments])]
    errors = table.pivot(index=keys, columns="estimator", values="mse_equal_samples")
    proved = table.pivot(index=keys, columns="estimator", values="proved_unbiased")
    parents = [evidence.called(method) for method in ("pathwise", "leave_one_out")]
    if not set(parents) <= set(errors):
        return
    better = errors[parents].where(proved[parents].eq(True)).min(axis=1, skipna=False)
    squares = evidence.references.set_index(keys)["gradient_norm"].reindex(better.index) ** 2
    better = better.where((better > 0) & (better < squares))
    for name in (name for name, method in evidence.mixtures.items() if method == "inverse_variance" and name in errors):
        ratios = np.log10((errors[name] / better).where(errors[name] > 0)).clip(upper=MOST).dropna()
        own = ratios.groupby(evidence.originals(ratios.index.get_level_values("environment")))
        if not len(own):
            continue
        mean = clustered_mean(mean_of_clusters(own.sum().to_numpy(), own.count().to_numpy()), len(own), positive=False)
        prediction = (
            f"{evidence.mixtures[name]}, at equally many samples: its error over that of the better of its parents,"
            f" where both are unbiased and that one is of use, is at most {MOST_BY_WEIGHTS:.3f}"
            f" (geometric mean over environments, n = {len(own)})"
        )
        measured = _with_limits(*np.power(10.0, mean))
        yield row("mixing-arena", "Suh 2022 lemma 4.4; derived", prediction, measured, None, (0.0, MOST_BY_WEIGHTS),
                  "ledger")  # fmt: skip


def _with_limits(value: float, low: float, high: float) -> Interval:
    """Of too few environments nothing is known."""
    return (value, 0.0, math.inf) if math.isnan(low) else (value, low, high)


CLAIMS: tuple[Callable[[Evidence], Iterator[dict[str, Any]]], ...] = (
    small_noise,
    deterministic_limit,
    step_bias,
    no_universal_ranking,
    empirical_bias,
    chaos_crossing,
    learning_follows_error,
    mix_when_in_doubt,
    mixing_arena,
)


def claims(plan: Plan) -> None:
    """Judge the claims ledger from the tables.

    A claim that the study has no data for has no row.
    """
    tables = Tables(TABLES, plan.methods)
    evidence = Evidence(
        statistics=tables.read("gradient_statistics"),
        references=tables.read("references"),
        training=tables.read("training"),
        regrets=tables.read("regrets"),
        mixtures={cell.estimator: cell.method for cell in plan.cells if cell.family == "mixture"},
        environments=tuple(
            {
                "name": name,
                "family": entry.family,
                "knobs": asdict(make_environment(entry)[0]),
                "original": plan.study.original(name),
            }
            for name, entry in plan.study.environments.items()
            if entry.is_plain
        ),
        called=tables.called,
    )
    judged = pd.DataFrame([found for claim in CLAIMS for found in claim(evidence)], columns=COLUMNS["claims"])
    tried = [read_rows(claim_path(name)) for name in plan.study.claims if claim_path(name).exists()]
    parts = [part for part in (judged, *tried) if len(part)]
    save("claims", pd.concat(parts, ignore_index=True) if parts else judged)
