"""The study's tables (docs/outputs.md): their columns, how they are written, and how they are read.

A small, partial or missing table is an ordinary case. Figures and report see the study through these functions alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from scorepath.store.files import atomic_write
from scorepath.store.paths import table_path
from scorepath.store.records import require_intact

TEXT = (
    "environment", "estimator", "family", "stage", "status", "reason", "log", "command", "reference_class",
    "estimated_by", "certified_by", "comparison", "rival", "criterion", "statistic", "verdict", "quantity", "claim",
    "source", "prediction", "consistency", "tolerance", "figure", "finding", "dtype", "not_measurable", "practical",
    "by", "level", "rule", "worst_environment", "why", "sweep", "x_axis", "y_axis", "kind", "mechanism", "witness",
    "sentence", "verdict_at_equal_seconds", "number", "part", "scope", "question",
)  # fmt: skip
"""Columns of text; the others are numbers, but for these truth values."""
TRUTHS = ("at_grid_edge", "proved_unbiased", "agrees", "blank", "continuous")
UNCERTIFIED = "uncertified_monte_carlo"
"""The `reference_class` of a reference that no bias may be judged by."""

_VERDICTS = (
    "environment sigma checkpoint comparison rival criterion budget statistic value value_low value_high flip_budget"
    " flip_budget_low flip_budget_high relative_error practical policies value_least value_most verdict reason"
)

COLUMNS: dict[str, list[str]] = {
    name: text.split()
    for name, text in {
        "cells": "environment estimator family sigma stage status reason log command",
        "references": (
            "environment sigma checkpoint reference_class gradient_norm standard_error samples estimated_by"
            " certified_by noticeable_bias continuous finding jump_share"
        ),
        "gradient_statistics": (
            "environment estimator sigma checkpoint samples batch_size environment_steps_per_sample squared_bias"
            " squared_bias_low squared_bias_high bias_p_value proved_unbiased"
            " projection projection_low projection_high variance variance_low"
            " variance_high not_measurable squared_error_median squared_error_median_low squared_error_median_high"
            " squared_error_90 squared_error_90_low squared_error_90_high tail_share tail_index largest_share nsr"
            " budget mse_equal_samples mse_equal_steps cosine_similarity nonfinite_fraction zero_fraction dtype"
            " float32_relative_error"
        ),
        "training": (
            "environment estimator sigma learning_rate at_grid_edge lowest_rate highest_rate seed iteration"
            " environment_steps return_stochastic return_deterministic gradient_norm"
        ),
        "costs": (
            "environment estimator batch_size samples_at_once horizon seconds_per_sample seconds_per_sample_low"
            " seconds_per_sample_high pilot_seconds_per_sample peak_memory_bytes"
        ),
        "verdicts": _VERDICTS,
        "verdicts_compute": _VERDICTS,
        "wins": (
            "comparison criterion by level pathwise_wins rival_wins equivalent undecided no_signal neither_usable"
            " not_measurable not_applicable share share_low share_high environments"
        ),
        "regrets": (
            "comparison criterion rule threshold threshold_low threshold_high regret regret_low regret_high places"
            " environments worst worst_environment over_simple over_simple_low over_simple_high"
        ),
        "exact_curves": "environment estimator quantity sigma value",
        "signals": (
            "environment sigma checkpoint steps coordinates return_variance to_go_variance slope signal_variance"
            " coherent_variance residual cross growth_rate growth_rate_low growth_rate_high growth_steps"
            " expansion_rate expansion_rate_low expansion_rate_high"
        ),
        "mechanisms": (
            "environment family sigma checkpoint comparison rival verdict value mechanism bias_share bias_share_low"
            " bias_of_error corrected_bias_share rival_bias_of_error mean_degree noise_term slope_term curvature_term"
            " growth_rate growth_rate_low growth_decades expansion_decades expansion_decades_low"
            " tail_share rival_tail_share baseline_gain single_precision verdict_at_equal_seconds seconds_shift"
            " predicted predicted_second sentence"
        ),
        "roughness": (
            "number part scope rank_correlation rank_correlation_low rank_correlation_high distance places"
            " environments choice"
        ),
        "landscapes": (
            "environment checkpoint along_sigma sigma distance expected_return expected_return_low expected_return_high"
            " paired_low paired_high trajectories"
        ),
        "trajectories": "environment checkpoint quantity coordinate step value",
        "probes": (
            "environment family sigma checkpoint criterion rival lead lead_low lead_high cautious cautious_low"
            " variance_lead bias_share room agrees witness blank tail rival_tail trust raised reason jump jump_share"
            " declared probe_samples lead_surety cautious_surety probability threshold verdict value"
        ),
        "advisor": "criterion rule quantity value value_low value_high places families environments",
        "phase_diagrams": "sweep rival quantity x_axis x y_axis y kind value value_low value_high",
        "crossings": "sweep rival quantity x_axis y_axis y predicted exact measured measured_low measured_high",
        "claims": (
            "claim source prediction predicted measured measured_low measured_high consistency tolerance figure why"
        ),
        "student_limit": (
            "estimator sigma samples gradient mean mean_low mean_high needed needed_low needed_high needed_exact"
        ),
        "student_theorem": (
            "state step visited probability value_left value_right term gradient difference reinforce reinforce_low"
            " reinforce_high reward_to_go reward_to_go_low reward_to_go_high"
        ),
        "student_numbers": "question quantity expected value value_low value_high",
        "student_figure": (
            "sigma frequency height edge mean_action estimator samples gradient boundary_term mean mean_low mean_high"
            " quantile_5 quantile_25 quantile_50 quantile_75 quantile_95"
        ),
    }.items()
}
"""Every table and its columns, in their order."""


def save(name: str, table: pd.DataFrame) -> None:
    """Write a table into the study's folder, with the columns of its contract."""
    written = table.reindex(columns=COLUMNS[name])
    for column in written.select_dtypes("floating"):  # pandas itself formats value by value, ten times as slowly
        written[column] = ["" if math.isnan(value) else f"{value:.9g}" for value in written[column].tolist()]
    with atomic_write(table_path(name)) as file:
        written.to_csv(file, index=False, lineterminator="\n")


def empty(name: str) -> pd.DataFrame:
    """A table without rows, whose columns have their types all the same."""
    return pd.DataFrame({
        column: pd.Series(dtype=object if column in TEXT else float) for column in COLUMNS[name]
    })  # fmt: skip


@dataclass(frozen=True)
class Tables:
    """A folder of tables, and what the plan knows of the names in them."""

    folder: Path
    methods: Mapping[str, str] = field(default_factory=dict)
    """The methods behind the estimators' names, in the study's order; without any, names are methods."""

    originals: Mapping[str, str] = field(default_factory=dict)
    """The environments behind those that are one of them with another initial policy; without any, each is its own."""

    def original(self, environment: str) -> str:
        """The environment itself, whatever the initial policy."""
        return self.originals.get(environment, environment)

    def called(self, method: str) -> str:
        """What the study calls a method: the name of its first estimator that is this method."""
        return next((name for name, other in self.methods.items() if other == method), method)

    def read(self, name: str) -> pd.DataFrame:
        """The table `name`, with every column of its contract: text as str, everything else numeric (NaN where empty).

        A missing or empty file gives an empty frame; columns that the file has beyond the contract are kept.

        Raises:
            ValueError: naming a file that cannot be read, or has changed since its job wrote it.
        """
        path = Path(self.folder) / f"{name}.csv"
        require_intact(path)
        try:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        except (FileNotFoundError, pd.errors.EmptyDataError):
            frame = pd.DataFrame(columns=COLUMNS[name], dtype=str)
        except ValueError as error:  # no UTF-8, or rows of different lengths
            raise ValueError(f"{path} cannot be read ({error}); delete it and run again") from error
        for column in COLUMNS[name]:
            if column not in frame:
                frame[column] = ""
            if column in TRUTHS:
                frame[column] = frame[column].astype(str).str.lower().isin(["true", "1", "1.0"])
            elif column in TEXT:
                frame[column] = frame[column].astype(object)
            else:
                frame[column] = pd.to_numeric(frame[column].replace("", None), errors="coerce").astype(float)
        return frame

    def read_verdicts(self) -> pd.DataFrame:
        """All verdicts, those at equal compute included."""
        frames = [self.read("verdicts"), self.read("verdicts_compute")]
        frames = [frame for frame in frames if len(frame)] or frames[:1]
        return pd.concat(frames, ignore_index=True)
