"""Reading the study's tables (docs/outputs.md) so that a small, partial or missing one is an ordinary case.

Figures and report see the study through these functions alone.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from scorepath.records import require_intact

TEXT = (
    "environment", "estimator", "family", "stage", "status", "reason", "log", "command", "reference_class",
    "certified_by", "comparison", "rival", "criterion", "statistic", "verdict", "quantity", "claim", "source",
    "prediction", "figure",
)  # fmt: skip

_VERDICTS = (
    "environment sigma checkpoint comparison rival criterion budget statistic value value_low value_high flip_budget"
    " verdict reason"
)

COLUMNS: dict[str, list[str]] = {
    name: text.split()
    for name, text in {
        "cells": "environment estimator family sigma stage status reason log command",
        "references": (
            "environment sigma checkpoint reference_class gradient_norm standard_error samples certified_by"
        ),
        "gradient_statistics": (
            "environment estimator sigma checkpoint samples batch_size environment_steps_per_sample squared_bias"
            " squared_bias_low squared_bias_high projection projection_low projection_high variance variance_low"
            " variance_high tail_share nsr budget mse_equal_samples mse_equal_steps cosine_similarity"
            " nonfinite_fraction zero_fraction float32_relative_error"
        ),
        "training": (
            "environment estimator sigma learning_rate at_grid_edge seed iteration environment_steps"
            " return_stochastic return_deterministic gradient_norm"
        ),
        "costs": (
            "environment estimator batch_size horizon seconds_per_sample seconds_per_sample_low"
            " seconds_per_sample_high peak_memory_bytes"
        ),
        "verdicts": _VERDICTS,
        "verdicts_compute": _VERDICTS,
        "exact_curves": "environment estimator quantity sigma value",
        "claims": "claim source prediction measured measured_low measured_high verdict figure",
    }.items()
}


def read_table(tables: Path, name: str) -> pd.DataFrame:
    """The table `name`, with every column of its contract: text as str, everything else numeric (NaN where empty).

    A missing or empty file gives an empty frame; columns the file has beyond the contract are kept.
    """
    columns = COLUMNS[name]
    path = Path(tables) / f"{name}.csv"
    require_intact(path)
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (FileNotFoundError, pd.errors.EmptyDataError):
        frame = pd.DataFrame(columns=columns, dtype=str)
    except ValueError as error:  # no UTF-8, or rows of different lengths
        raise ValueError(f"{path} cannot be read ({error}); delete it and run again") from error
    for column in columns:
        if column not in frame:
            frame[column] = ""
        if column == "at_grid_edge":
            frame[column] = frame[column].astype(str).str.lower().isin(["true", "1", "1.0"])
        elif column in TEXT:
            frame[column] = frame[column].astype(object)
        else:
            frame[column] = pd.to_numeric(frame[column].replace("", None), errors="coerce").astype(float)
    return frame


def read_verdicts(tables: Path) -> pd.DataFrame:
    """All verdicts, those at equal compute included."""
    frames = [read_table(tables, "verdicts"), read_table(tables, "verdicts_compute")]
    frames = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(frames, ignore_index=True)


def sigma_token(sigma: float) -> str:
    """A noise level as the study's paths write it: 0.1, 1, 1e-05."""
    return format(float(sigma), "g")


def in_order(frame: pd.DataFrame, column: str) -> list[str]:
    """The distinct values of a text column in order of appearance, which is the order of `config.yaml`."""
    return [value for value in dict.fromkeys(frame[column].tolist()) if value]


def checkpoint_name(checkpoint: float) -> str:
    """A checkpoint, the fraction of the return gap that is closed, in words."""
    if checkpoint == 0:
        return "start"
    return f"{100 * checkpoint:.3g} % trained"


def checkpoints_in(frame: pd.DataFrame) -> list[float]:
    return sorted(frame["checkpoint"].dropna().unique().tolist())


def label(name: str) -> str:
    """A name of the study as prose and figures write it."""
    return "REINFORCE" if name == "reinforce" else name.replace("_", " ")
