"""Gathers: cell files in, tidy tables out. `results/tables/*.csv` is what figures, report and readers use.

Timings stay apart: `costs` and `verdicts_compute` are written by a gather of their own, and every other table is the
same byte for byte from run to run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, trim_mean

from scorepath.costs import COST_COLUMNS, costs_path
from scorepath.files import atomic_write
from scorepath.noise import Stream
from scorepath.records import require_intact
from scorepath.references.store import Reference, load_reference
from scorepath.statistics import bootstrap_weights, interval, two_sided_p
from scorepath.study import RESULTS, Cell, Plan, Stage, log_path, policies_path, reference_path, sigma_token

TABLES = RESULTS / "tables"
COMPARISONS = ("pathwise_vs_reinforce", "pathwise_vs_best_score_function")
UNCERTIFIED = "uncertified_monte_carlo"
RESOLUTION = 1e-12
"""Errors further apart than this are not told apart: an error ratio is given as 1e12 at most."""
SCORE_RANGE = (-1.0, 2.0)
"""Normalised training scores are clipped to this: a run that diverges loses what others gained, not infinity."""

VERDICT_COLUMNS = [
    "environment", "sigma", "checkpoint", "comparison", "rival", "criterion", "budget", "statistic",
    "value", "value_low", "value_high", "flip_budget", "verdict", "reason",
]  # fmt: skip


def save(name: str, table: pd.DataFrame) -> None:
    """Write `results/tables/<name>.csv`."""
    with atomic_write(TABLES / f"{name}.csv") as file:
        table.to_csv(file, index=False, float_format="%.9g", lineterminator="\n")


@cache
def read_cell(cell: Cell) -> pd.DataFrame | None:
    """A cell's rows, or None if it has no result (yet)."""
    return read_rows(cell.path) if cell.available else None


def read_rows(path: Path) -> pd.DataFrame:
    """The rows of a job's result.

    Raises:
        ValueError: naming a file that cannot be read, was cut off, or has changed since its job wrote it.
    """
    require_intact(path)
    try:
        text = path.read_text(encoding="utf-8")
        rows = pd.read_csv(StringIO(text))
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}); delete it and run again") from error
    if rows.empty or not text.endswith("\n"):
        raise ValueError(f"{path} is cut off; delete it and run again")
    return rows


# --- mean squared error of one cell at one checkpoint -----------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """What verdicts need of a cell at a checkpoint: contributions per block and the price of a sample."""

    estimator: str
    family: str
    variances: np.ndarray  # (blocks,)
    biases: np.ndarray  # (blocks,), zeros where unbiasedness is declared, nan where it cannot be judged
    steps: float  # environment steps per sample, in units of one trajectory
    blank: bool  # every sample was exactly zero: no signal was seen

    def squared_error(self, draws: np.ndarray, price: float, budget: float) -> np.ndarray:
        """`max(0, bias^2) + V * price / budget` for every resample in `draws` (resamples, blocks)."""
        return np.maximum(0.0, draws @ self.biases) + draws @ self.variances * price / budget


def measured_cells(plan: Plan) -> Iterator[tuple[Cell, float, pd.DataFrame]]:
    """Every gradient cell that has a result, by checkpoint."""
    for cell in plan.running("gradients"):
        for checkpoint, rows in _by_checkpoint(cell).items():
            yield cell, checkpoint, rows


@cache
def _by_checkpoint(cell: Cell) -> dict[float, pd.DataFrame]:
    """A cell's rows, if it has a result."""
    rows = read_cell(cell)
    groups = [] if rows is None else rows.groupby("checkpoint", sort=False)
    return {float(checkpoint): group for checkpoint, group in groups}


@cache
def as_measured(cell: Cell, checkpoint: float, certified: bool) -> Measured:
    """Per-block contributions; a cell with non-finite samples has infinite error: failures are never dropped.

    Against a reference that is not certified no bias can be judged: what is not declared unbiased gets an unknown one.
    """
    rows = _by_checkpoint(cell)[checkpoint]
    variances = rows["variance"].to_numpy(float)
    biases = np.zeros(len(rows)) if cell.unbiased else rows["squared_bias"].to_numpy(float)
    if not (certified or cell.unbiased):
        biases = np.full(len(rows), np.nan)
    if rows["nonfinite_fraction"].to_numpy().max() > 0:
        variances, biases = np.full(len(rows), np.inf), np.zeros(len(rows))
    blank = bool((rows["zero_fraction"] == 1).all())
    return Measured(cell.estimator, cell.family, variances, biases, cell.steps / cell.horizon, blank)


# --- tables -----------------------------------------------------------------------------------------------------------


def cells_table(plan: Plan) -> pd.DataFrame:
    """Every cell and its status, the ones that failed or are missing included."""
    rows = []
    for cell in plan.cells:
        status, reason, log = cell.status, cell.reason, ""
        if status == "run":
            log = str(log_path(cell.path))
            absent = next((path for path in cell.inputs if not path.exists()), None)
            if absent:
                status, reason = "missing", f"{absent} is missing: see {log_path(absent)}"
            elif not cell.path.exists():
                failed = Path(log).is_file()
                status = "failed" if failed else "missing"
                reason = f"its job failed: see {log}" if failed else "its job has not run"
        rows.append({
            "environment": cell.environment, "estimator": cell.estimator, "family": cell.family, "sigma": cell.sigma,
            "stage": cell.stage, "status": status, "reason": reason, "log": log,
            "command": cell.command if cell.status == "run" else "",
        })  # fmt: skip
    return pd.DataFrame(rows)


def _with_policies(environments: Iterable[str]) -> list[str]:
    """The environments whose reference policies exist; in a partial study some may be missing."""
    return [name for name in environments if policies_path(name).exists()]


read_reference = cache(load_reference)


def _references(plan: Plan) -> dict[tuple[str, str], Reference]:
    study = plan.study
    keys = [(name, sigma) for name in _with_policies(study.environments) for sigma in study.noise_levels]
    return {
        (name, sigma_token(sigma)): read_reference(name, sigma)
        for name, sigma in keys
        if reference_path(name, sigma).exists()
    }


def reference_norms(reference: Reference) -> np.ndarray:
    """Norm of the reference gradient at each checkpoint, its own Monte Carlo noise subtracted in the square."""
    squares = reference.gradients.mean(1).square().sum(-1).numpy()
    if reference.reference_class == "certified_monte_carlo":
        squares = np.maximum(0.0, squares - reference.standard_error**2)
    return np.sqrt(squares)


def references_table(plan: Plan) -> pd.DataFrame:
    """One row per environment, noise level and checkpoint."""
    rows = []
    for (name, token), reference in _references(plan).items():
        norms = reference_norms(reference)
        for index, gap in enumerate(plan.study.references.return_gaps):
            rows.append(
                {
                    "environment": name,
                    "sigma": float(token),
                    "checkpoint": gap,
                    "reference_class": reference.reference_class if reference.certified[index] else UNCERTIFIED,
                    "gradient_norm": norms[index],
                    "standard_error": reference.standard_error[index],
                    "samples": reference.samples,
                    "certified_by": reference.certified_by[index],
                }
            )
    return pd.DataFrame(rows)


def gradient_statistics_table(plan: Plan) -> pd.DataFrame:
    """One row per measured cell and checkpoint; `_low` and `_high` are 95 % bootstrap limits over blocks."""
    settings = plan.study.gradients
    draws = _draws(plan, settings.batches)
    norms = {key: reference_norms(reference) for key, reference in _references(plan).items()}
    certified = _certified(plan)
    gaps = list(plan.study.references.return_gaps)
    rows = []
    for cell, checkpoint, group in measured_cells(plan):
        place = cell.environment, sigma_token(cell.sigma)
        known = certified[*place, checkpoint]
        measured = as_measured(cell, checkpoint, known)
        variance = interval(measured.variances, draws)
        # against a reference that is not certified there is nothing to say about bias or direction
        directed = dict.fromkeys(("squared_bias", "projection", "cosine_similarity"), math.nan)
        judged = group if known else group.assign(**directed)
        bias = interval(judged["squared_bias"].to_numpy(float), draws)
        projection = interval(judged["projection"].to_numpy(float), draws)
        norm = norms[place][gaps.index(checkpoint)]
        squared_bias_used = np.maximum(0.0, float(measured.biases.mean()))
        budget = settings.batch_size
        first = group.iloc[0]
        rows.append({
            "environment": cell.environment, "estimator": cell.estimator, "sigma": cell.sigma,
            "checkpoint": checkpoint, "samples": settings.samples, "batch_size": settings.batch_size,
            "environment_steps_per_sample": cell.steps,
            **_with_limits("squared_bias", bias), **_with_limits("projection", projection),
            **_with_limits("variance", variance),
            "tail_share": first["tail_share"],
            "nsr": _ratio(variance[0], norm**2),
            "budget": budget,
            "mse_equal_samples": squared_bias_used + variance[0] / budget,
            "mse_equal_steps": squared_bias_used + variance[0] * measured.steps / budget,
            "cosine_similarity": judged["cosine_similarity"].mean() if norm > 0 else math.nan,
            "nonfinite_fraction": group["nonfinite_fraction"].mean(),
            "zero_fraction": group["zero_fraction"].mean(),
            "float32_relative_error": first["float32_relative_error"],
        })  # fmt: skip
    return pd.DataFrame(rows)


def training_table(plan: Plan) -> pd.DataFrame:
    """The curves of every trained cell."""
    parts = []
    for cell in plan.running("training"):
        rows = read_cell(cell)
        if rows is not None:
            parts.append(rows.assign(environment=cell.environment, estimator=cell.estimator, sigma=cell.sigma))
    columns = [
        "environment", "estimator", "sigma", "learning_rate", "at_grid_edge", "seed", "iteration",
        "environment_steps", "return_stochastic", "return_deterministic", "gradient_norm",
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def costs_table(plan: Plan) -> pd.DataFrame:
    """Timings of every environment that has them."""
    paths = [costs_path(name) for name in _with_policies(plan.study.environments)]
    parts = [read_rows(path) for path in paths if path.exists()]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COST_COLUMNS)


# --- verdicts ---------------------------------------------------------------------------------------------------------


def gradient_verdicts(plan: Plan, criterion: str, prices: dict[tuple[str, str], float] | None = None) -> pd.DataFrame:
    """Pathwise against its rivals by mean squared error at the training batch's budget.

    Args:
        plan: the study.
        criterion: equal_samples, equal_steps or equal_compute.
        prices: seconds per sample by (environment, estimator), for equal_compute.
    """
    settings = plan.study.gradients
    budget = settings.batch_size
    found: dict[tuple[str, str, float], list[Measured]] = {}
    certified = _certified(plan)
    for cell, checkpoint, _ in measured_cells(plan):
        place = cell.environment, sigma_token(cell.sigma), checkpoint
        found.setdefault(place, []).append(as_measured(cell, checkpoint, certified[place]))

    def price(environment: str, measured: Measured) -> float:
        if criterion == "equal_samples":
            return 1.0
        if criterion == "equal_steps":
            return measured.steps
        assert prices is not None
        reference = prices.get((environment, "pathwise"), math.nan)
        return prices.get((environment, measured.estimator), math.nan) / reference

    rows, p_values = [], []
    for key in _places(plan):
        environment, token, checkpoint = key
        present = found.get(key, [])
        pathwise = next((m for m in present if m.estimator == "pathwise"), None)
        scores = [m for m in present if m.family == "score_function" and not np.isnan(m.biases).any()]
        for comparison in COMPARISONS:
            row: dict[str, Any] = dict.fromkeys(VERDICT_COLUMNS, "")
            row |= {
                "environment": environment, "sigma": float(token), "checkpoint": checkpoint,
                "comparison": comparison, "criterion": criterion, "budget": budget,
                "statistic": "log10_mse_ratio", "value": math.nan, "value_low": math.nan, "value_high": math.nan,
                "flip_budget": math.nan, "verdict": "not_applicable",
            }  # fmt: skip
            rows.append(row)
            p_values.append(math.nan)
            blocks = np.arange(settings.batches)
            if comparison == "pathwise_vs_reinforce":
                rival = next((m for m in scores if m.estimator == "reinforce"), None)
            else:
                # the rival is chosen on the even blocks and judged on the odd ones
                even, blocks = blocks[blocks % 2 == 0], blocks[blocks % 2 == 1]
                weights = _mean_of(even, settings.batches)
                errors = [float(m.squared_error(weights, price(environment, m), budget)) for m in scores]
                rival = scores[int(np.argmin(errors))] if scores else None
            if pathwise is None or rival is None:
                row["reason"] = _absence(plan, environment, token, pathwise is None)
                continue
            row["rival"] = rival.estimator
            if np.isnan(pathwise.biases).any():
                row["reason"] = "the reference is not certified, so a bias cannot be judged"
                continue
            costs = price(environment, rival), price(environment, pathwise)
            if not all(map(math.isfinite, costs)):
                row["reason"] = "no timing"
                continue
            outcome = _compare(rival, pathwise, costs, budget, blocks, _draws(plan, len(blocks)), settings.batches)
            p_values[-1] = outcome.pop("p_value")
            row |= outcome
    return _finish(pd.DataFrame(rows, columns=VERDICT_COLUMNS), np.array(p_values), plan)


def _compare(
    rival: Measured,
    pathwise: Measured,
    costs: tuple[float, float],
    budget: int,
    blocks: np.ndarray,
    weights: np.ndarray,
    total: int,
) -> dict[str, Any]:
    """log10(MSE rival / MSE pathwise) with its paired-bootstrap limits over the given blocks."""
    draws = np.zeros((len(weights), total))
    draws[:, blocks] = weights
    centre = _mean_of(blocks, total)
    errors = [
        (float(m.squared_error(centre, cost, budget)), m.squared_error(draws, cost, budget))
        for m, cost in zip((rival, pathwise), costs, strict=True)
    ]
    (rival_error, rival_draws), (pathwise_error, pathwise_draws) = errors
    if not math.isfinite(pathwise_error) or not math.isfinite(rival_error):
        if math.isfinite(pathwise_error) == math.isfinite(rival_error):
            return {"verdict": "not_applicable", "reason": "neither gradient is finite", "p_value": math.nan}
        value = math.inf if math.isfinite(pathwise_error) else -math.inf
        loser = rival.estimator if value > 0 else "pathwise"
        limits = {"value": value, "value_low": value, "value_high": value}
        return {**limits, "p_value": 0.0, "reason": f"{loser} gave gradients that are not finite"}
    if (rival.blank and pathwise.blank) or max(rival_error, pathwise_error) == 0:
        return {"verdict": "not_applicable", "reason": "no sample of either shows any signal", "p_value": math.nan}
    tiny = RESOLUTION * max(rival_error, pathwise_error)
    ratios = np.log10(np.maximum(rival_draws, tiny)) - np.log10(np.maximum(pathwise_draws, tiny))
    low, high = np.quantile(ratios, [0.025, 0.975])
    flip = _ratio(
        rival.variances.mean() * costs[0] - pathwise.variances.mean() * costs[1],
        max(0.0, pathwise.biases.mean()) - max(0.0, rival.biases.mean()),
    )
    return {
        "value": math.log10(max(rival_error, tiny)) - math.log10(max(pathwise_error, tiny)),
        "value_low": low,
        "value_high": high,
        "flip_budget": flip if flip > 0 and math.isfinite(flip) else math.nan,
        "p_value": two_sided_p(ratios),
    }


def training_verdicts(plan: Plan) -> pd.DataFrame:
    """Pathwise against its rivals by what was learnt: normalised return over the last quarter of training.

    The statistic is the difference of interquartile means over seeds, with a stratified bootstrap (Agarwal et al.
    2021); beside it the probability that a pathwise run beats a rival's. The best score-function estimator is chosen
    on the tuning seeds.
    """
    study = plan.study
    seeds = study.training.seeds
    curves: dict[tuple[str, str], dict[str, pd.DataFrame]] = {}
    for cell in plan.running("training"):
        rows = read_cell(cell)
        if rows is not None:
            curves.setdefault((cell.environment, sigma_token(cell.sigma)), {})[cell.estimator] = rows
    scores = {place: _normalised_scores(runs, study.training.iterations) for place, runs in curves.items()}
    families = {cell.estimator: cell.family for cell in plan.cells}
    generator = Stream(study.seed, "", "training verdicts").generator(0, "bootstrap")
    resamples = generator.integers(seeds, size=(2, study.resamples, seeds))
    rows_out, p_values = [], []
    for environment in study.training.environments:
        for sigma in study.training.noise_levels:
            present = scores.get((environment, sigma_token(sigma)), {})
            rivals = [name for name in present if families[name] == "score_function"]
            for comparison in COMPARISONS:
                if comparison == "pathwise_vs_reinforce":
                    rival = "reinforce" if "reinforce" in rivals else None
                else:
                    rival = max(rivals, key=lambda name: np.nan_to_num(present[name][1], nan=-np.inf), default=None)
                base: dict[str, Any] = dict.fromkeys(VERDICT_COLUMNS, "")
                base |= {
                    "environment": environment, "sigma": float(sigma), "checkpoint": math.nan,
                    "comparison": comparison, "rival": rival or "", "criterion": "training",
                    "budget": study.gradients.batch_size, "flip_budget": math.nan, "verdict": "not_applicable",
                    "value": math.nan, "value_low": math.nan, "value_high": math.nan,
                }  # fmt: skip
                if "pathwise" not in present or rival is None:
                    reason = _absence(plan, environment, sigma_token(sigma), "pathwise" not in present, "training")
                    rows_out.append(base | {"statistic": "iqm_difference", "reason": reason})
                    p_values.append(math.nan)
                    continue
                ours, theirs = present["pathwise"][0], present[rival][0]
                ours_draws, theirs_draws = ours[resamples[0]], theirs[resamples[1]]
                difference = trim_mean(ours, 0.25) - trim_mean(theirs, 0.25)
                differences = trim_mean(ours_draws, 0.25, axis=1) - trim_mean(theirs_draws, 0.25, axis=1)
                better = _probability_of_improvement(ours[None], theirs[None])[0] - 0.5
                betters = _probability_of_improvement(ours_draws, theirs_draws) - 0.5
                for statistic, value, draws, shift in (
                    ("iqm_difference", difference, differences, 0.0),
                    ("probability_of_improvement", better, betters, 0.5),
                ):
                    low, high = np.quantile(draws, [0.025, 0.975])
                    limits = {"value": value + shift, "value_low": low + shift, "value_high": high + shift}
                    rows_out.append(base | {"statistic": statistic, **limits})
                    p_values.append(two_sided_p(draws))
    return _finish(pd.DataFrame(rows_out, columns=VERDICT_COLUMNS), np.array(p_values), plan)


def _normalised_scores(runs: dict[str, pd.DataFrame], iterations: int) -> dict[str, tuple[np.ndarray, float]]:
    """Late return of every seed, and the tuning score, by estimator.

    On a scale that all estimators of the place share: 0 is the return before training, 1 the best mean late return
    that any of them reached. Where nothing was learnt by anyone the scale is the spread between them.
    """
    late = {
        name: rows[rows["iteration"] >= 0.75 * iterations].groupby("seed")["return_stochastic"].mean()
        for name, rows in runs.items()
    }
    late = {name: values.where(np.isfinite(values)) for name, values in late.items()}
    start = np.mean([rows.loc[rows["iteration"] == 0, "return_stochastic"].mean() for rows in runs.values()])
    gains = [values.mean() - start for values in late.values() if values.notna().any()]
    scale = max(gains, default=1.0)
    if scale <= 0:
        scale = max(map(abs, gains)) or 1.0
    lowest, highest = SCORE_RANGE
    return {
        name: (
            ((values - start) / scale).fillna(lowest).clip(lowest, highest).to_numpy(),
            float(runs[name]["tuning_score"].iloc[0]),
        )
        for name, values in late.items()
    }


def _probability_of_improvement(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """P(ours > theirs) + P(equal) / 2 over all pairs of runs; inputs (resamples, seeds)."""
    difference = ours[:, :, None] - theirs[:, None, :]
    return (np.sign(difference) / 2 + 0.5).mean(axis=(1, 2))


def _finish(table: pd.DataFrame, p_values: np.ndarray, plan: Plan) -> pd.DataFrame:
    """Decide: the sign where the interval excludes no difference and the false-discovery rate holds, else undecided."""
    judged = np.isfinite(p_values)
    adjusted = np.full(len(p_values), math.nan)
    # each statistic of a criterion is one family of hypotheses
    for statistic in table["statistic"].unique():
        family = judged & (table["statistic"] == statistic).to_numpy()
        if family.any():
            adjusted[family] = false_discovery_control(p_values[family].clip(0, 1), method="bh")
    for index in np.flatnonzero(judged):
        middle = 0.5 if table.at[index, "statistic"] == "probability_of_improvement" else 0.0
        low, high = table.at[index, "value_low"] - middle, table.at[index, "value_high"] - middle
        decided = adjusted[index] <= plan.study.false_discovery_rate
        if low > 0 and decided:
            table.at[index, "verdict"] = "pathwise"
        elif high < 0 and decided:
            table.at[index, "verdict"] = "score_function"
        else:
            table.at[index, "verdict"] = "undecided"
            if not table.at[index, "reason"]:
                crosses = low <= 0 <= high
                table.at[index, "reason"] = (
                    "the interval contains no difference"
                    if crosses
                    else f"not significant among all comparisons (adjusted p = {adjusted[index]:.2g})"
                )
    return table


def _places(plan: Plan) -> Iterator[tuple[str, str, float]]:
    study = plan.study
    for environment in study.environments:
        for sigma in study.noise_levels:
            for checkpoint in study.references.return_gaps:
                yield environment, sigma_token(sigma), checkpoint


def _certified(plan: Plan) -> dict[tuple[str, str, float], bool]:
    """Whether each reference can be trusted to judge a bias."""
    gaps = plan.study.references.return_gaps
    return {
        (name, token, gap): reference.certified[index]
        for (name, token), reference in _references(plan).items()
        for index, gap in enumerate(gaps)
    }


def _absence(plan: Plan, environment: str, token: str, pathwise: bool, stage: Stage = "gradients") -> str:
    """Why a side of the comparison does not exist."""
    for name in plan.study.training.estimators if stage == "training" else plan.study.estimators:
        cell = plan.index[stage, environment, name, token]
        side = name == "pathwise" if pathwise else cell.family == "score_function"
        if side and cell.status == "not_applicable":
            return cell.reason
        if side and cell.status == "run" and not cell.available:
            return f"no result of {name}"
    # at sigma = 0 pathwise is its deterministic self and there is nothing to compare it with
    return "without action noise there is no score function" if token == "0" else "not in this study"


def _draws(plan: Plan, blocks: int) -> np.ndarray:
    """Resampling weights, the same for all cells, so that comparisons are paired."""
    return _same_draws(plan.study.seed, plan.study.resamples, blocks)


@cache
def _same_draws(seed: int, resamples: int, blocks: int) -> np.ndarray:
    return bootstrap_weights(blocks, resamples, Stream(seed, "", "verdicts").generator(blocks, "bootstrap"))


def _mean_of(blocks: np.ndarray, total: int) -> np.ndarray:
    """Weights (total,) that average these blocks."""
    weights = np.zeros(total)
    weights[blocks] = 1 / len(blocks)
    return weights


def _with_limits(name: str, values: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator != 0 else math.inf if numerator else math.nan


# --- the two gathers ------------------------------------------------------------------------------------------------


def gather(plan: Plan) -> None:
    """Write every table without timings."""
    save("cells", cells_table(plan))
    save("references", references_table(plan))
    save("gradient_statistics", gradient_statistics_table(plan))
    save("training", training_table(plan))
    verdicts = [gradient_verdicts(plan, criterion) for criterion in ("equal_samples", "equal_steps")]
    save("verdicts", pd.concat([*verdicts, training_verdicts(plan)], ignore_index=True))


def gather_costs(plan: Plan) -> None:
    """Write the tables that hold timings."""
    costs = costs_table(plan)
    save("costs", costs)
    prices = {(row.environment, row.estimator): row.seconds_per_sample for row in costs.itertuples()}
    save("verdicts_compute", gradient_verdicts(plan, "equal_compute", prices))
