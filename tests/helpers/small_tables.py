"""Small tables of made-up numbers with the columns of docs/outputs.md, for tests of figures and report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

SIGMAS = (0.0, 0.1, 1.0)
CHECKPOINTS = (0.0, 0.5)
FAMILIES = {"reinforce": "score_function", "pathwise": "pathwise", "measure_valued": "measure_valued"}
ESTIMATORS = tuple(FAMILIES)


def write_tables(
    folder: Path,
    environments: Sequence[str] = ("smooth", "edge"),
    *,
    losers: Sequence[str] = ("edge",),
    reason: str = "",
    status: str = "run",
    training: bool = True,
) -> Path:
    """Write every table. Pathwise loses in `losers`, where it is also biased by the whole gradient.

    `reason` and `status` go to the first environment's measure-valued gradient cell at sigma = 0.1.
    """
    folder.mkdir(parents=True, exist_ok=True)
    empty: list[list[dict[str, object]]] = [[] for _ in range(8)]
    cells, references, statistics, runs, costs, verdicts, compute, curves = empty
    for environment in environments:
        lost = environment in losers
        for sigma in SIGMAS:
            for estimator in ESTIMATORS:
                runs_here = sigma > 0 or estimator == "pathwise"
                special = environment == environments[0] and estimator == "measure_valued" and sigma == 0.1
                state = status if special else "run" if runs_here else "not_applicable"
                cells.append(
                    {
                        "environment": environment, "estimator": estimator, "family": FAMILIES[estimator],
                        "sigma": sigma, "stage": "gradients",
                        "status": state, "reason": reason if special else "" if runs_here else "sigma is 0",
                        "log": f"results/logs/{environment}.log",
                        "command": f"scorepath gradients {environment} {estimator} {sigma:g}",
                    }
                )  # fmt: skip
                if state != "run":
                    continue
                for checkpoint in CHECKPOINTS:
                    bias = 2.0 if lost and estimator == "pathwise" else 0.0
                    variance = 0.0 if bias else 3.0 if estimator == "pathwise" else 4.0 / sigma**2
                    if estimator == "reinforce" and sigma == 1.0 and checkpoint:
                        variance = math.inf
                    statistics.append(
                        {
                            "environment": environment, "estimator": estimator, "sigma": sigma,
                            "checkpoint": checkpoint, "samples": 512, "batch_size": 64,
                            "environment_steps_per_sample": 1, "squared_bias": bias**2,
                            "bias_p_value": 0.0 if bias else 0.5,
                            "proved_unbiased": not bias,
                            "squared_bias_low": bias**2 - 0.01, "squared_bias_high": bias**2 + 0.01,
                            "projection": 2.0 - bias, "projection_low": 1.9 - bias, "projection_high": 2.1 - bias,
                            "variance": variance, "variance_low": 0.9 * variance, "variance_high": 1.1 * variance,
                            "tail_share": 0.1, "nsr": variance / 4, "budget": 64,
                            "mse_equal_samples": bias**2 + variance / 64, "mse_equal_steps": bias**2 + variance / 64,
                            "cosine_similarity": 0.9, "nonfinite_fraction": 0.0, "zero_fraction": float(bias > 0),
                            "float32_relative_error": 1e-6,
                        }
                    )  # fmt: skip
            for checkpoint in CHECKPOINTS:
                references.append(
                    {
                        "environment": environment, "sigma": sigma, "checkpoint": checkpoint,
                        "reference_class": "closed_form", "gradient_norm": 2.0, "standard_error": 0.0, "samples": 0,
                        "estimated_by": "closed_form", "certified_by": "exact", "continuous": not lost,
                    }
                )  # fmt: skip
                for comparison in ("pathwise_vs_reinforce", "pathwise_vs_best_score_function"):
                    for criterion in ("equal_samples", "equal_steps", "equal_compute"):
                        value = math.nan if sigma == 0 else -1.0 if lost else 1.0
                        verdict = "not_applicable" if sigma == 0 else "score_function" if lost else "pathwise"
                        (compute if criterion == "equal_compute" else verdicts).append(
                            _verdict(environment, sigma, checkpoint, comparison, criterion, value, verdict)
                        )
                        verdicts[-1]["reason"] = "sigma is 0" if sigma == 0 else ""
        if training:
            for estimator in ("reinforce", "pathwise"):
                for seed in range(4):
                    for iteration in range(0, 30, 10):
                        runs.append(
                            {
                                "environment": environment, "estimator": estimator, "sigma": 0.1,
                                "learning_rate": 0.01, "at_grid_edge": estimator == "pathwise", "seed": seed,
                                "iteration": iteration, "environment_steps": 64 * iteration,
                                "return_stochastic": seed - 30.0 / (1 + iteration),
                                "return_deterministic": seed - 30.0 / (1 + iteration), "gradient_norm": 1.0,
                            }
                        )  # fmt: skip
            for statistic, shift in (("score_difference", 0.0), ("probability_of_improvement", 0.5)):
                row = _verdict(
                    environment, 0.1, math.nan, "pathwise_vs_best_score_function", "training", 0.0, "undecided"
                )
                limits = {"value": shift, "value_low": shift - 0.1, "value_high": shift + 0.1}
                verdicts.append(row | limits | {"statistic": statistic})
        for estimator in ESTIMATORS:
            costs.extend(
                {
                    "environment": environment, "estimator": estimator, "batch_size": 64, "samples_at_once": size,
                    "horizon": 1, "seconds_per_sample": 1e-6, "seconds_per_sample_low": 9e-7,
                    "seconds_per_sample_high": 1.2e-6, "pilot_seconds_per_sample": 0.0, "peak_memory_bytes": 10**8,
                }
                for size in (64, 2048)
            )  # fmt: skip
        curves += [
            {
                "environment": environment,
                "estimator": "reinforce",
                "quantity": "variance",
                "sigma": s,
                "value": 4 / s**2,
            }
            for s in (0.1, 0.3, 1.0)
        ]
    claims = [
        {
            "claim": "small-noise", "source": "folk", "prediction": f"slope -2 on {environments[0]}",
            "predicted": -2.0, "measured": -1.9,
            "measured_low": -2.0, "measured_high": -1.8, "consistency": "consistent", "tolerance": "undecided",
            "figure": "variance",
        }
    ]  # fmt: skip
    wins = [
        {
            "comparison": "pathwise_vs_best_score_function", "criterion": "equal_samples", "by": by, "level": level,
            "pathwise_wins": 4, "rival_wins": 1, "undecided": 3, "share": 0.8, "share_low": 0.3, "share_high": 0.99,
            "environments": len(environments),
        }
        for by, level in (("all", ""), ("sigma", "0.1"), ("sigma", "1"))
    ]  # fmt: skip
    landscapes = [
        {
            "environment": environment, "checkpoint": checkpoint, "along_sigma": 0.1, "sigma": sigma,
            "distance": distance, "expected_return": distance - sigma, "expected_return_low": distance - sigma - 1,
            "expected_return_high": distance - sigma + 1, "paired_low": distance - sigma - abs(distance) / 9,
            "paired_high": distance - sigma + abs(distance) / 9, "trajectories": 32,
        }
        for environment in environments for checkpoint in CHECKPOINTS for sigma in SIGMAS
        for distance in (-0.5, 0.0, 0.5)
    ]  # fmt: skip
    trajectories = [
        {"environment": environment, "checkpoint": checkpoint, "quantity": quantity, "coordinate": coordinate,
         "step": step, "value": step * checkpoint - 1}
        for environment in environments for checkpoint in CHECKPOINTS
        for quantity, coordinate in (("state", 1), ("state", 2), ("action", 1), ("reward", math.nan))
        for step in range(4)
    ]  # fmt: skip
    regrets = [
        {
            "comparison": "pathwise_vs_best_score_function", "criterion": "equal_samples", "rule": rule,
            "threshold": threshold, "regret": regret, "regret_low": 1.2, "regret_high": 9.0, "places": 8,
            "environments": len(environments), "worst": 7.0, "worst_environment": environments[0],
        }
        for rule, threshold, regret in (
            ("always_pathwise", math.nan, 2.5), ("always_rival", math.nan, 3.5), ("inverse_variance", math.nan, 1.3),
            ("pathwise_below_threshold", 1.0, 1.6),
        )
    ]  # fmt: skip
    shared: dict[str, object] = {
        "sweep": "small",
        "rival": "reinforce",
        "quantity": "variance",
        "x_axis": "sigma",
        "y_axis": "width",
    }
    diagram = [
        shared | {"x": x, "y": y, "kind": kind, "value": value, "value_low": value - 0.1, "value_high": value + 0.1}
        for x, value in ((0.1, 1.0), (0.3, -1.0)) for y in (0.5, 1.0) for kind in ("measured", "exact")
    ]  # fmt: skip
    crossings = [
        shared
        | {"y": y, "predicted": 0.17, "exact": 0.17, "measured": 0.18, "measured_low": 0.16, "measured_high": 0.2}
        for y in (0.5, 1.0)
    ]
    mechanisms = [
        {
            "environment": row["environment"], "family": row["environment"], "sigma": row["sigma"],
            "checkpoint": row["checkpoint"], "comparison": row["comparison"], "rival": row["rival"],
            "verdict": row["verdict"], "value": row["value"], "predicted": row["value"], "predicted_second": 0.1,
            "mechanism": "score noise" if row["verdict"] == "pathwise" else "missing boundary term",
            "sentence": "Because.",
        }
        for row in verdicts if row["criterion"] == "equal_samples" and row["verdict"] != "not_applicable"
    ]  # fmt: skip
    signals = [
        {
            "environment": environment, "sigma": sigma, "checkpoint": checkpoint, "steps": 1, "coordinates": 1,
            "return_variance": 1.0, "slope": 1.0,
        }
        for environment in environments for sigma in SIGMAS if sigma > 0 for checkpoint in CHECKPOINTS
    ]  # fmt: skip
    roughness = [
        {
            "number": number, "part": part, "scope": "without jumps and tails", "rank_correlation": 0.7,
            "rank_correlation_low": 0.5, "rank_correlation_high": 0.9, "distance": 0.2, "places": 4, "environments": 1,
            "choice": choice,
        }
        for number, choice in (("roughness", 1), ("mean_degree", 2), ("noise_level", math.nan))
        for part in ("choosing", "held_out", environments[0])
    ]  # fmt: skip
    measured: dict[str, object] = {
        "samples": 512, "mean": -8.0, "mean_low": -8.5, "mean_high": -7.5,
        "needed": 40.0, "needed_low": 39.0, "needed_high": 41.0, "needed_exact": 40.0,
    }  # fmt: skip
    limit = [
        measured | {"estimator": estimator, "sigma": sigma, "gradient": -8.4 + sigma}
        for sigma in SIGMAS for estimator in ("reinforce", "pathwise") if sigma > 0 or estimator == "pathwise"
    ]  # fmt: skip
    simulated = {f"{name}{end}": 0.1 for name in ("reinforce", "reward_to_go") for end in ("", "_low", "_high")}
    theorem = [
        {
            "state": 0, "step": step, "visited": 1.0, "probability": 0.6, "value_left": 0.1, "value_right": 0.2,
            "term": 0.1, "gradient": 0.1, "difference": 1e-17,
        } | simulated
        for step in (0, 1, math.nan)
    ]  # fmt: skip
    numbers = [
        {"question": "use", "quantity": "ratio of these variances", "value": 7.0, "value_low": 6.0, "value_high": 8.0}
    ]
    one_step = [
        {
            "sigma": 0.3, "frequency": 4.0, "height": height, "edge": 0.3, "mean_action": 0.2, "estimator": estimator,
            "samples": 512, "gradient": height - 1, "boundary_term": height, "mean": -1.0, "mean_low": -1.1,
            "mean_high": -0.9, **{f"quantile_{q}": q / 25 - 3 for q in (5, 25, 50, 75, 95)},
        }
        for height in (0.0, 1.0) for estimator in ("reinforce", "pathwise")
    ]  # fmt: skip
    probes = [
        {
            "environment": environment, "family": environment, "sigma": sigma, "checkpoint": checkpoint,
            "criterion": "equal_samples", "rival": "leave_one_out", "lead": 1.0, "jump": 0.0, "jump_share": 0.0,
            "probability": 0.9, "threshold": 0.8, "verdict": "pathwise", "value": 1.0,
        }
        for environment in environments for sigma in SIGMAS if sigma > 0 for checkpoint in CHECKPOINTS
    ]  # fmt: skip
    advisor = [
        {
            "criterion": "equal_samples", "rule": rule, "quantity": quantity, "value": 0.2, "value_low": 0.1,
            "value_high": 0.3, "places": 4, "families": 3, "environments": 3,
        }
        for rule in ("advisor", "always pathwise") for quantity in ("brier", "coverage", "accuracy_answered")
    ]  # fmt: skip
    for name, rows in {
        "student_limit": limit, "student_theorem": theorem, "student_numbers": numbers, "student_figure": one_step,
        "landscapes": landscapes, "trajectories": trajectories,
        "probes": probes, "advisor": advisor, "signals": signals, "mechanisms": mechanisms, "roughness": roughness,
        "phase_diagrams": diagram, "crossings": crossings,
        "wins": wins, "regrets": regrets,
        "cells": cells, "references": references, "gradient_statistics": statistics, "training": runs, "costs": costs,
        "verdicts": verdicts, "verdicts_compute": compute, "exact_curves": curves, "claims": claims,
    }.items():  # fmt: skip
        pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)
    return folder


def _verdict(
    environment: str, sigma: float, checkpoint: float, comparison: str, criterion: str, value: float, verdict: str
) -> dict[str, object]:
    return {
        "environment": environment, "sigma": sigma, "checkpoint": checkpoint, "comparison": comparison,
        "rival": "" if verdict == "not_applicable" else "reinforce", "criterion": criterion, "budget": 64,
        "statistic": "log10_mse_ratio", "value": value, "value_low": value - 0.1, "value_high": value + 0.1,
        "flip_budget": math.nan, "relative_error": 0.5,
        "practical": "beyond" if verdict in ("pathwise", "score_function") else "", "verdict": verdict, "reason": "",
    }  # fmt: skip
