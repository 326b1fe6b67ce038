"""The ledger's rows that the default study's cells judge: tables that obey them all, and mutants.

A mutant is what a plausible bug would make: of the numbers that are measured, or of the formula that predicts them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.helpers.places import ROOT

from scorepath.stages import claims as ledger_of_claims
from scorepath.stages._instances import make_environment
from scorepath.stages._ledger import Evidence
from scorepath.stages._verdicts import BEST, BEST_OF_ALL
from scorepath.stages.claims import BREAK_EVEN, CLAIMS, doubling_crossing, reinforce_variance, seen_share
from scorepath.stages.plan import make_plan
from scorepath.study.cells import Plan
from scorepath.study.yaml import load_yaml

DEFAULT: dict[str, Any] = load_yaml(ROOT / "config.yaml")
FAMILIES = ("quadratic", "cosine", "step", "soft_step", "angle_doubling")
"""Those that a claim speaks of."""
CHECKPOINTS = {0.0: 1.0, 0.5: 0.7, 0.95: 0.2}
"""Policies, and their distances from a quadratic's optimum."""


def default_cells(estimators: tuple[str, ...] | None = None) -> Plan:
    """The default study in these families, without training; with all of its estimators or these."""
    chosen = [entry for entry in DEFAULT["environments"] if entry["family"] in FAMILIES]
    training: dict[str, list[str]] = {"environments": [], "estimators": [], "noise_levels": []}
    raw = {name: part for name, part in DEFAULT.items() if name not in ("sweeps", "claims", "training")}
    own = {} if estimators is None else {"estimators": list(estimators)}
    return make_plan(raw | {"environments": chosen, "training": training} | own)


def instances(plan: Plan) -> tuple[dict[str, Any], ...]:
    """The study's environments with all their knobs."""
    return tuple(
        {"name": name, "original": name, "family": entry.family, "knobs": asdict(make_environment(entry)[0])}
        for name, entry in plan.study.environments.items()
    )


def mixtures(plan: Plan) -> dict[str, str]:
    """The methods of the study's mixtures, by name."""
    return {cell.estimator: cell.method for cell in plan.cells if cell.family == "mixture"}


# --- tables that obey -------------------------------------------------------------------------------------------------


def measured(
    family: str, knobs: Mapping[str, Any], sigma: float, distance: float
) -> Iterator[tuple[str, float, dict[str, float]]]:
    """What the field's formulas say that a study measures: estimator, length of the gradient, columns."""
    match family:
        case "quadratic":
            length = 2 * distance
            yield "reinforce", length, {"variance": reinforce_variance(distance, knobs["dimension"], sigma)}
            if knobs["dimension"] == 1:
                yield "pathwise", length, {"variance": 4 * sigma**2}
                yield "measure_valued", length, {"variance": distance**2 * (16 / math.pi - 4)}
        case "cosine":
            length = math.exp(-((knobs["frequency"] * sigma) ** 2) / 2)
            yield "deterministic_pathwise", length, {"squared_bias": (1 - length) ** 2}
        case "step":
            yield "pathwise", 1.0, {"squared_bias": 1.0}
            yield "inverse_variance", 1.0, {"squared_bias": 1.0}
        case "soft_step":
            width = knobs["width"]
            hits = seen_share(knobs["edge"], width, sigma)
            yield "pathwise", hits / width, {
                "zero_fraction": 1 - hits, "projection": hits / width, "variance": hits * (1 - hits) / width**2,
            }  # fmt: skip
        case "angle_doubling":
            doublings = knobs["doublings"]
            squares = [4.0 ** (doublings + 1 - t) for t in range(doublings)]
            mixing = sigma**2 * sum(squares)
            left = math.exp(-2 * mixing) * math.cos(2 * 2 ** (doublings + 1) * 2 * math.pi / 3)
            length = math.exp(-mixing / 2) * math.sqrt(3) / 2 * math.sqrt(sum(squares))
            yield "pathwise", length, {"variance": mixing / sigma**2 * (1 - left) / 2 - length**2}
            yield "reinforce", length, {
                "variance": (doublings + (doublings - 4 * mixing) * left) / (2 * sigma**2) - length**2
            }  # fmt: skip


def independent(length: float, number: int) -> dict[str, float]:
    """Errors of two parents that do not depend on each other, and of their mixture by inverse variances."""
    first, ratio = 1e-3 / number * length**2, 10.0 * number
    return {
        "pathwise": first, "leave_one_out": ratio * first,
        **dict.fromkeys(("inverse_variance", "total_propagation"), ratio / (1 + ratio) * first),
    }  # fmt: skip


def learning() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Errors of five estimators in ten environments, and curves that end in nearly the same order."""
    orders = (0, 1, 2, 4, 3), (1, 0, 2, 3, 4), (2, 0, 1, 4, 3), (0, 3, 2, 1, 4), (0, 1, 2, 3, 4)
    errors, curves = [], []
    for place in range(20):
        order = orders[place // 2 % len(orders)]
        for rank, late in enumerate(order):
            shared = {"environment": f"e{place // 2}", "sigma": 0.1 * (place % 2 + 1), "estimator": f"estimator {rank}"}
            errors.append({**shared, "checkpoint": 0.0, "mse_equal_samples": 2.0**rank})
            curves += [
                {**shared, "seed": seed, "iteration": iteration, "return_stochastic": -1.0 - late * iteration}
                for seed in range(2) for iteration in (0, 25, 50)
            ]  # fmt: skip
    return errors, curves


def evidence() -> Evidence:
    """Tables of the default study that obey every claim, with intervals of two per cent.

    Regrets are as a run of it had them.
    """
    plan = default_cells()
    environments = instances(plan)
    rows, places = [], {}
    for number, entry in enumerate(environments, 1):
        for sigma in (level for level in plan.study.noise_levels if level > 0):
            for checkpoint, distance in CHECKPOINTS.items():
                made = {name: (length, columns) for name, length, columns in
                        measured(entry["family"], entry["knobs"], sigma, distance)}  # fmt: skip
                errors = independent(next(iter(made.values()))[0], number)
                for estimator in dict.fromkeys((*made, *errors)):
                    length, columns = made.get(estimator, (next(iter(made.values()))[0], {}))
                    shared = {"environment": entry["name"], "sigma": sigma, "checkpoint": checkpoint}
                    places[tuple(shared.values())] = {**shared, "gradient_norm": length}
                    numbers = dict.fromkeys(("squared_bias", "projection", "variance", "zero_fraction"), 0.0) | columns
                    exact = entry["family"] == "step" or estimator == "deterministic_pathwise"
                    limits = {
                        f"{name}{end}": (1.0 if exact else factor) * numbers[name]
                        for name in ("squared_bias", "projection", "variance")
                        for end, factor in (("_low", 0.98), ("_high", 1.02))
                    }
                    rows.append({
                        **shared, "estimator": estimator, "samples": 4096, **numbers, **limits,
                        "mse_equal_samples": errors.get(estimator, math.nan),
                        "proved_unbiased": estimator in ("leave_one_out", "pathwise") and entry["family"] != "step",
                    })  # fmt: skip
    trained, curves = learning()
    regrets = [
        {
            "comparison": comparison, "criterion": "equal_steps", "rule": rule, "environments": 20,
            "over_simple": 0.82, "over_simple_low": 0.70, "over_simple_high": 0.96,
        }
        for comparison in (BEST, BEST_OF_ALL)
        for rule in ("always_pathwise", *mixtures(plan))
    ]  # fmt: skip
    return Evidence(
        pd.DataFrame(rows + trained), pd.DataFrame(places.values()), pd.DataFrame(curves), pd.DataFrame(regrets),
        mixtures(plan), environments, lambda method: method,
    )  # fmt: skip


def ledger(found: Evidence) -> pd.DataFrame:
    """The rows that the study's own claims have."""
    return pd.DataFrame([judged for claim in CLAIMS for judged in claim(found)])


# --- mutants ----------------------------------------------------------------------------------------------------------

Change = Callable[[Evidence], Evidence]


@dataclass(frozen=True)
class Mutant:
    """A bug that refutes rows of a claim."""

    claim: str
    bug: str
    change: Change = lambda found: found
    """What it does to what is measured."""
    formulas: Mapping[str, object] = field(default_factory=dict)
    """What stands in the place of the claims' own formulas."""

    def __str__(self) -> str:
        return f"{self.claim}: {self.bug}"

    def ledger(self, found: Evidence) -> pd.DataFrame:
        """The rows that it makes of this evidence."""
        with pytest.MonkeyPatch.context() as patch:
            for name, formula in self.formulas.items():
                patch.setattr(ledger_of_claims, name, formula)
            return ledger(self.change(found))


def refuted(rows: pd.DataFrame) -> pd.Series:
    """Which rows contradict their prediction and lie outside its tolerance."""
    return (rows["consistency"] == "inconsistent") & (rows["tolerance"] == "outside")


def changed(family: str, estimator: str, **columns: Callable[[pd.DataFrame, pd.Series], Any]) -> Change:
    """An estimator that does something else in a family: functions of its rows and a column, or one of its limits."""

    def change(found: Evidence) -> Evidence:
        table = found.statistics.copy()
        names = [entry["name"] for entry in found.instances(family)]
        chosen = table["environment"].isin(names) & (table["estimator"] == estimator)
        for name, function in columns.items():
            for end in ("", "_low", "_high"):
                if f"{name}{end}" in table:
                    table.loc[chosen, f"{name}{end}"] = function(table[chosen], table.loc[chosen, f"{name}{end}"])
        return replace(found, statistics=table)

    return change


def times(factor: float) -> Callable[[pd.DataFrame, pd.Series], Any]:
    return lambda _, values: factor * values


def charged(factor: float) -> Change:
    """Mixtures whose samples cost so many times what they do."""

    def change(found: Evidence) -> Evidence:
        table = found.regrets.copy()
        own = table["rule"].isin(found.mixtures)
        table.loc[own, [f"over_simple{end}" for end in ("", "_low", "_high")]] *= factor
        return replace(found, regrets=table)

    return change


def upside_down(found: Evidence) -> Evidence:
    """Logarithms of errors with the wrong sign."""
    ends = [f"over_simple{end}" for end in ("", "_low", "_high")]
    turned_round = 1 / found.regrets[[ends[0], ends[2], ends[1]]]
    return replace(found, regrets=found.regrets.assign(**dict(zip(ends, turned_round.to_numpy().T, strict=True))))


def weighted(error: Callable[[pd.DataFrame], pd.Series]) -> Change:
    """An inverse-variance mixture with another error: of its parents' and the gradient's square, `pathwise`,
    `leave_one_out` and `square`."""

    def change(found: Evidence) -> Evidence:
        keys = ["environment", "sigma", "checkpoint"]
        table = found.statistics.set_index(keys)
        parents = table.pivot(columns="estimator", values="mse_equal_samples")
        lengths = found.references.set_index(keys)["gradient_norm"]
        made = error(parents.assign(square=lengths.reindex(parents.index) ** 2))
        own = (table["estimator"] == "inverse_variance").to_numpy()
        table.loc[own, "mse_equal_samples"] = made.reindex(table.index[own]).to_numpy()
        return replace(found, statistics=table.reset_index())

    return change


def swapped(errors: pd.DataFrame) -> pd.Series:
    """Of independent parents, with each one's weight for the other."""
    first, second = errors["pathwise"], errors["leave_one_out"]
    return (first**3 + second**3) / (first + second) ** 2


def losing(found: Evidence) -> Evidence:
    """Costs for returns."""
    return replace(found, training=found.training.assign(return_stochastic=-found.training["return_stochastic"]))


def precise(found: Evidence) -> Evidence:
    """Precisions for errors, where training is."""
    own = found.statistics["environment"].isin(found.training["environment"])
    errors = found.statistics["mse_equal_samples"]
    return replace(found, statistics=found.statistics.assign(mse_equal_samples=errors.where(~own, 1 / errors)))


MUTANTS: tuple[Mutant, ...] = (
    Mutant("small-noise", "the score is not divided by sigma",
           changed("quadratic", "reinforce", variance=lambda rows, values: rows["sigma"] ** 2 * values)),
    Mutant("small-noise", "an exponent of -1.8",
           changed("quadratic", "reinforce", variance=lambda rows, values: rows["sigma"] ** 0.2 * values)),
    Mutant("small-noise", "sigma for its square in the formula",
           formulas={"reinforce_variance": lambda distance, dimension, sigma:
                     reinforce_variance(distance, dimension, math.sqrt(sigma))}),
    Mutant("deterministic-limit", "an estimator that sees no bias",
           changed("cosine", "deterministic_pathwise", squared_bias=times(0.0))),
    Mutant("deterministic-limit", "the bias for its square",
           changed("cosine", "deterministic_pathwise", squared_bias=lambda _, values: values.clip(0) ** 0.5)),
    Mutant("deterministic-limit", "a bias of 13 % too much",
           changed("cosine", "deterministic_pathwise", squared_bias=times(1.13**2))),
    Mutant("step-bias", "the boundary term is not missed", changed("step", "pathwise", squared_bias=times(0.0))),
    Mutant("step-bias", "a twentieth of the gradient is seen",
           changed("step", "pathwise", squared_bias=times(0.95**2))),
    Mutant("ivw-blind", "the mixture keeps to the score function",
           changed("step", "inverse_variance", squared_bias=times(0.0))),
    Mutant("ivw-blind", "the mixture gives the score function a twentieth",
           changed("step", "inverse_variance", squared_bias=times(0.95**2))),
    Mutant("no-universal-ranking", "both branches with noise of their own",
           changed("quadratic", "measure_valued", variance=lambda rows, values: values + 8 * rows["sigma"] ** 2)),
    Mutant("no-universal-ranking", "half the variance, as of the mean of two",
           changed("quadratic", "measure_valued", variance=times(0.5))),
    Mutant("no-universal-ranking", "the break-even per evaluation",
           formulas={"BREAK_EVEN": BREAK_EVEN / math.sqrt(2)}),
    Mutant("no-universal-ranking", "a formula 13 % off", formulas={"BREAK_EVEN": 1.13 * BREAK_EVEN}),
    Mutant("empirical-bias", "an estimator that is always zero",
           changed("soft_step", "pathwise", zero_fraction=lambda rows, _: 1 + 0 * rows["sigma"],
                   projection=times(0.0))),
    Mutant("empirical-bias", "zeros that are right and a mean of half the gradient",
           changed("soft_step", "pathwise", projection=times(0.5))),
    Mutant("empirical-bias", "the wrong sign", changed("soft_step", "pathwise", projection=times(-1.0))),
    Mutant("empirical-bias", "zeros counted as the others",
           changed("soft_step", "pathwise", zero_fraction=lambda _, values: 1 - values)),
    Mutant("empirical-bias", "a ramp of twice the width",
           formulas={"seen_share": lambda edge, width, sigma: seen_share(edge, 2 * width, sigma)}),
    Mutant("chaos", "a formula 13 % too high",
           formulas={"doubling_crossing": lambda doublings: 1.13 * doubling_crossing(doublings)}),
    Mutant("chaos", "a formula 13 % too low",
           formulas={"doubling_crossing": lambda doublings: doubling_crossing(doublings) / 1.13}),
    Mutant("chaos", "one doubling less", formulas={"doubling_crossing": lambda n: doubling_crossing(n - 1)}),
    Mutant("chaos", "derivatives that forget the last doubling",
           changed("angle_doubling", "pathwise", variance=times(0.25))),
    Mutant("chaos", "clipped derivatives",
           changed("angle_doubling", "pathwise", variance=lambda _, values: np.minimum(values, 30.0))),
    Mutant("mix-when-in-doubt", "both samples of a mixture charged twice", charged(2.0)),
    Mutant("mix-when-in-doubt", "the logarithm's sign", upside_down),
    Mutant("mixing-arena", "the weights the wrong way round", weighted(swapped)),
    Mutant("mixing-arena", "equal weights",
           weighted(lambda errors: (errors["pathwise"] + errors["leave_one_out"]) / 4)),
    Mutant("mixing-arena", "an estimator that is always zero", weighted(lambda errors: errors["square"])),
    Mutant("learning-follows-mse", "costs for returns", losing),
    Mutant("learning-follows-mse", "precisions for errors", precise),
)  # fmt: skip
"""At least one for each row of the default study; a test says so."""


def unmoved(own: pd.DataFrame, made: Mapping[str, pd.DataFrame]) -> list[str]:
    """The rows that no mutant of their claim refutes, in words.

    Args:
        own: the ledger without mutants; what is refuted in it already is refuted by none.
        made: by mutant's name, the ledger with it.
    """
    alive = np.ones(len(own), dtype=bool)
    for mutant in MUTANTS:
        rows = made[str(mutant)]
        assert rows["claim"].tolist() == own["claim"].tolist()
        alive &= ~(refuted(rows) & ~refuted(own) & (own["claim"] == mutant.claim)).to_numpy()
    return own.loc[alive, "prediction"].tolist()
