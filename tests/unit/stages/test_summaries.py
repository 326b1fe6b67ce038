"""A small study of every family: its verdicts, wins and regrets computed once more, from its cells, by other code."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.helpers.small_studies import small_plan

from scorepath import registry
from scorepath.provenance.trace import trace
from scorepath.stages._measurements import Measurements
from scorepath.stages._summaries import MOST, _log_ratio
from scorepath.stages._verdicts import gradient_verdicts
from scorepath.stages.exact_curves import exact_curves
from scorepath.stages.gradients import gradients
from scorepath.stages.reference import reference
from scorepath.stages.reference_policies import reference_policies
from scorepath.stages.tables import tables
from scorepath.store.paths import cell_path, table_path
from scorepath.study.cells import DERIVATIVE_FREE, Cell, Plan

ENVIRONMENTS = [
    "quadratic",
    {"name": "cosine", "family": "cosine", "frequency": 10.0, "phase": 1.0},
    {"name": "step", "family": "step", "edge": 0.1},
    {"name": "lqr", "family": "lqr", "horizon": 4, "dynamics": [[0.9]], "control": [[0.5]], "process_noise": 0.1},
]
ESTIMATORS = [
    "reinforce", "leave_one_out", "pathwise", "deterministic_pathwise", "measure_valued", "evolution_strategies",
    "inverse_variance", "total_propagation",
]  # fmt: skip
POOLS = {
    "pathwise_vs_best_score_function": ["reinforce", "leave_one_out"],
    "pathwise_vs_best_derivative_free": ["reinforce", "leave_one_out", "measure_valued", "evolution_strategies"],
}
KEYS = ["environment", "sigma", "checkpoint"]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    """The study, computed in a folder that is the current one during the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("families"))
        training: dict[str, list[str]] = {"environments": [], "estimators": [], "noise_levels": []}
        plan = small_plan(
            ENVIRONMENTS, estimators=list(ESTIMATORS), noise_levels=[0.0, 0.1, 0.5, 1.0], training=training,
            statistics={"resamples": 200},
        )  # fmt: skip
        for environment in plan.study.environments:
            reference_policies(plan, environment)
            for sigma in plan.study.noise_levels:
                reference(plan, environment, sigma)
            exact_curves(plan, environment)
        for cell in plan.running("gradients"):
            gradients(plan, cell.environment, cell.estimator, cell.sigma)
        tables(plan)
        yield plan


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(table_path(name), keep_default_na=False, na_values=[""])


def cell_of(plan: Plan, environment: str, estimator: str, sigma: float) -> Cell | None:
    """The cell whose numbers are an estimator's, itself or the one that it is identical to."""
    found = next(
        cell for cell in plan.cells
        if (cell.stage, cell.environment, cell.estimator, cell.sigma) == ("gradients", environment, estimator, sigma)
    )  # fmt: skip
    if found.status.startswith("identical_to:"):
        return cell_of(plan, environment, found.status.split(":")[1], sigma)
    return found if found.status == "run" else None


def measurable(plan: Plan, row: pd.Series, estimator: str) -> bool:
    """Whether the samples' tail, as the cell's file tells it, leaves a second moment to be measured."""
    cell = cell_of(plan, row["environment"], estimator, row["sigma"])
    assert cell is not None
    blocks = pd.read_csv(cell_path("gradients", cell.environment, cell.estimator, cell.sigma))
    tail = blocks[blocks["checkpoint"] == row["checkpoint"]].iloc[0]
    rests_on_few = tail["tail_effective"] < min(8, tail["tail_samples"] / 8)
    return bool(tail["tail_largest"] == 0 or not (rests_on_few or tail["tail_index"] <= 1))


def error(plan: Plan, row: pd.Series, estimator: str, odd: bool, square: float) -> float:
    """From the blocks of a cell's file: squared bias where there may be one, and variance by what 16 samples cost."""
    cell = cell_of(plan, row["environment"], estimator, row["sigma"])
    if cell is None:
        return math.nan
    blocks = pd.read_csv(cell_path("gradients", cell.environment, cell.estimator, cell.sigma))
    blocks = blocks[blocks["checkpoint"] == row["checkpoint"]].reset_index(drop=True)
    if (blocks["zero_fraction"] == 1).all() and odd:
        return square
    half = blocks.iloc[1::2] if odd else blocks.iloc[::2]
    price = cell.steps / cell.horizon if row["criterion"] == "equal_steps" else 1.0
    bias = 0.0 if cell.unbiased else max(0.0, half["squared_bias"].mean())
    return float(bias + half["variance"].mean() * price / 16)


@pytest.fixture(scope="module")
def recomputed(plan: Plan) -> pd.DataFrame:
    """Rivals, errors and verdicts of the chosen comparisons, place by place."""
    verdicts = read("verdicts")
    norms = read("references").set_index(KEYS)["gradient_norm"]
    rows = []
    for _, verdict in verdicts[verdicts["comparison"].isin(POOLS)].iterrows():
        square = norms.loc[tuple(verdict[KEYS])] ** 2
        found = {name: error(plan, verdict, name, False, square) for name in POOLS[verdict["comparison"]]}
        found = {name: value for name, value in found.items() if not math.isnan(value)}
        rival = min(found, key=lambda name: (not measurable(plan, verdict, name), found[name])) if found else ""
        errors = {name: error(plan, verdict, name, True, square) for name in ESTIMATORS}
        rows.append({
            **verdict[[*KEYS, "comparison", "criterion", "verdict", "relative_error"]],
            **verdict[["value", "value_low", "value_high"]],
            "stated": verdict["rival"], "rival": rival, "ours": errors["pathwise"],
            "theirs": errors.get(rival, math.nan), "square": square, **errors,
        })  # fmt: skip
    return pd.DataFrame(rows)


def test_rivals_are_the_best_of_their_pool_on_the_other_half(recomputed: pd.DataFrame) -> None:
    """Without a rival's noise there is no row, and at sigma = 0 only evolution strategies are left."""
    stated = recomputed["stated"].fillna("")
    assert (stated == recomputed["rival"]).all()
    wide = recomputed[recomputed["comparison"] == "pathwise_vs_best_derivative_free"]
    assert {"measure_valued", "evolution_strategies"} <= set(wide["rival"])
    assert set(wide.loc[wide["sigma"] == 0, "rival"]) == {"evolution_strategies"}
    # a wider pool is never worse on the half on which it is chosen from
    assert len(wide) == 2 * 4 * 4 * 2


def test_a_bias_counts_as_it_was_measured(plan: Plan) -> None:
    """On the cosine, evolution strategies smooth twice: their squared bias enters their error."""
    cell = cell_of(plan, "cosine", "evolution_strategies", 0.1)
    assert cell is not None
    assert not cell.unbiased
    components = next(
        each.components for each in Measurements(plan).gradients
        if (each.cell, each.place.checkpoint) == (cell, 0.0)
    )  # fmt: skip
    assert np.abs(components.biases).min() > 0


def one_sided(verdicts: pd.DataFrame) -> pd.Series:
    """Decided beside a variance that cannot be measured: a side's limit alone."""
    return verdicts["value"].abs().lt(math.inf) & np.isinf(verdicts[["value_low", "value_high"]]).any(axis=1)


def test_a_step_has_no_signal_and_an_error_of_the_gradients_square_no_use(recomputed: pd.DataFrame) -> None:
    known = recomputed[recomputed["value"].notna() & (recomputed["square"] > 0)]
    assert known.loc[one_sided(known), "relative_error"].isna().all()
    known = known[~one_sided(known)]
    step = recomputed[(recomputed["environment"] == "step") & (recomputed["sigma"] > 0)]
    assert set(step["verdict"]) == {"no_signal"}
    known = known[known["verdict"] != "not_measurable"]
    relative = known[["ours", "theirs"]].min(axis=1) / known["square"]
    assert np.allclose(relative, known["relative_error"], rtol=1e-6)
    rest = known[known["verdict"] != "no_signal"]
    assert (rest.loc[rest["relative_error"] >= 1, "verdict"] == "neither_usable").all()
    assert "neither_usable" in set(rest["verdict"])
    assert (rest.loc[rest["relative_error"] < 1, "verdict"] != "neither_usable").all()


def test_values_and_signs_are_those_of_the_errors(recomputed: pd.DataFrame) -> None:
    own = recomputed[recomputed["verdict"].isin(["pathwise", "score_function", "derivative_free"])]
    told = own[(own["value"].abs() < 12) & ~one_sided(own)]  # the largest ratio that is told
    assert np.allclose(np.log10(told["theirs"] / told["ours"]), told["value"], atol=1e-6)
    assert ((own["verdict"] == "pathwise") == (own["value"] > 0)).all()
    assert {"pathwise", "derivative_free"} <= set(own["verdict"])


def test_wins_are_the_verdicts_counted(plan: Plan) -> None:
    verdicts, wins = read("verdicts"), read("wins")
    verdicts = verdicts[verdicts["statistic"] == "log10_mse_ratio"]
    for _, row in wins.iterrows():
        own = verdicts[(verdicts["comparison"] == row["comparison"]) & (verdicts["criterion"] == row["criterion"])]
        if row["by"] != "all":
            own = own[own[row["by"]].astype(str).str.removesuffix(".0") == str(row["level"]).removesuffix(".0")]
        counts = own["verdict"].value_counts()
        lost = counts.get("score_function", 0) + counts.get("derivative_free", 0)
        assert (row["pathwise_wins"], row["rival_wins"]) == (counts.get("pathwise", 0), lost)
        for word in ("equivalent", "undecided", "no_signal", "neither_usable", "not_applicable"):
            assert row[word] == counts.get(word, 0)
        assert len(own) == counts.sum()
        if row["pathwise_wins"] + lost:
            assert row["share"] == pytest.approx(row["pathwise_wins"] / (row["pathwise_wins"] + lost))
            assert (row["environments"] == 1) == math.isnan(row["share_low"])
            assert row["environments"] == 1 or row["share_low"] <= row["share"] <= row["share_high"]
    assert len(wins) == 3 * 2 * (1 + 4 + 4 + 2)


def geometric(errors: pd.Series, best: pd.Series) -> float:
    """No factor counts as more than a million."""
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log((errors / best).fillna(1).clip(1e-6, 1e6)).mean()))


def test_regrets_are_geometric_means_over_the_better_one(recomputed: pd.DataFrame) -> None:
    regrets = read("regrets")
    for (comparison, criterion), own in recomputed.groupby(["comparison", "criterion"]):
        usable = own[(own["sigma"] > 0) & (own["relative_error"] < 1 - 1e-9) & (own["verdict"] != "not_applicable")]
        best = usable[["ours", "theirs"]].min(axis=1)
        there = regrets[(regrets["comparison"] == comparison) & (regrets["criterion"] == criterion)].set_index("rule")
        assert (there["places"] == len(usable)).all()
        assert there.loc["always_pathwise", "regret"] == pytest.approx(geometric(usable["ours"], best), rel=1e-6)
        assert there.loc["always_rival", "regret"] == pytest.approx(geometric(usable["theirs"], best), rel=1e-6)
        for mixture in ("inverse_variance", "total_propagation"):
            assert there.loc[mixture, "regret"] == pytest.approx(geometric(usable[mixture], best), rel=1e-6)
        assert there.loc["always_pathwise", "worst_environment"] == "step"
        chosen = threshold_elsewhere(usable, best)
        assert there.loc["pathwise_below_threshold", "regret"] == pytest.approx(chosen, rel=1e-6)
        simple = min((usable["ours"], usable["theirs"]), key=lambda errors: geometric(errors, best))
        for rule, errors in (("always_pathwise", usable["ours"]), ("inverse_variance", usable["inverse_variance"])):
            over = geometric(errors, best) / geometric(simple, best)
            assert there.loc[rule, "over_simple"] == pytest.approx(over, rel=1e-6)
        assert there.loc["pathwise_below_threshold", "over_simple"] == pytest.approx(
            chosen / geometric(simple, best), rel=1e-6
        )
        assert there["regret_low"].isna().all()  # four environments are too few for limits


def threshold_elsewhere(usable: pd.DataFrame, best: pd.Series) -> float:
    """The regret of pathwise below a threshold that each environment takes from the others."""
    logs = []
    for name, own in usable.groupby("environment"):
        others = usable[usable["environment"] != name]

        def regret(rows: pd.DataFrame, threshold: float) -> pd.Series:
            errors = rows["ours"].where(rows["sigma"] < threshold, rows["theirs"])
            return np.log((errors / best[rows.index]).fillna(1).clip(1e-6, 1e6))

        means = {threshold: regret(others, threshold).mean() for threshold in (0.1, 0.5, 1.0, math.inf)}
        chosen = next(threshold for threshold, mean in means.items() if mean <= min(means.values()) + 1e-9)
        logs += regret(own, chosen).tolist()
    return math.exp(float(np.mean(logs)))


def with_margin(plan: Plan, margin: float) -> pd.DataFrame:
    """The study's verdicts at equal samples with another practical margin."""
    statistics = {**plan.config["statistics"], "error_margin": margin}
    other = Plan(plan.key, {**plan.config, "statistics": statistics}, plan.cells)
    return gradient_verdicts(Measurements(other), "equal_samples")


def test_a_margin_makes_what_lies_within_it_equivalent(plan: Plan) -> None:
    """With a huge one nothing else is left; with none nothing is equivalent."""
    wide = with_margin(plan, 1e14)
    assert one_sided(wide).any()
    wide = wide[~one_sided(wide)]
    assert set(wide["verdict"]) == {"equivalent", "no_signal", "neither_usable", "not_measurable", "not_applicable"}
    none = with_margin(plan, 1.0)
    assert "equivalent" not in set(none["verdict"])
    assert set(none.loc[none["verdict"] == "pathwise", "practical"]) == {"beyond"}


def test_ratios_are_told_apart_as_far_as_errors_are() -> None:
    assert _log_ratio(math.inf, 1.0) == _log_ratio(1.0, 0.0) == MOST
    assert _log_ratio(0.0, 1.0) == -MOST
    assert _log_ratio(0.0, 0.0) == 0.0
    assert _log_ratio(10.0, 1.0) == 1.0
    assert math.isnan(_log_ratio(math.nan, 1.0))


def test_rivals_without_derivatives_declare_that_they_need_none() -> None:
    families = {}
    for name in registry.names(registry.ESTIMATORS):
        kind = registry.load(registry.ESTIMATORS, name)
        families[name] = kind.family
        if kind.family in DERIVATIVE_FREE:
            assert not kind.needs_differentiable_dynamics, name
            assert not kind.needs_relaxed_actions, name
    assert {families[name] for name in ("antithetic", "measure_valued", "spsa", "pgpe")} <= set(DERIVATIVE_FREE)
    assert not {families[name] for name in ("pathwise", "inverse_variance", "gumbel_softmax")} & set(DERIVATIVE_FREE)


def test_a_summary_is_traced_to_its_cells(plan: Plan) -> None:
    wins, regrets = read("wins"), read("regrets")
    chosen = (wins["comparison"] == "pathwise_vs_best_derivative_free") & (wins["level"].astype(str) == "lqr")
    commands = trace(plan, Path("wins"), int(wins.index[chosen][0]) + 1)
    assert "scorepath gradients lqr evolution_strategies 0.1" in commands
    assert "scorepath gradients lqr deterministic_pathwise 0" in commands
    assert not [command for command in commands if "quadratic" in command or "inverse_variance" in command]
    row = int(regrets.index[regrets["rule"] == "total_propagation"][0]) + 1
    commands = trace(plan, Path("regrets"), row)
    assert "scorepath gradients lqr total_propagation 0.1" in commands
    assert not [command for command in commands if command.endswith(" 0") or "measure_valued" in command]
