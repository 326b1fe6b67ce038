"""How figures and prose name what the tables hold: in the study's order, in words."""

from __future__ import annotations

import pandas as pd


def in_order(frame: pd.DataFrame, column: str) -> list[str]:
    """The distinct values of a text column in order of appearance, which is the order of `config.yaml`."""
    return [value for value in dict.fromkeys(frame[column].tolist()) if value]


def checkpoint_name(checkpoint: float) -> str:
    """A checkpoint, the fraction of the return gap that is closed, in words."""
    if checkpoint == 0:
        return "start"
    return f"{100 * checkpoint:.3g} % trained"


def checkpoints_in(frame: pd.DataFrame) -> list[float]:
    """The checkpoints of a frame, ascending."""
    return sorted(frame["checkpoint"].dropna().unique().tolist())


def label(name: str) -> str:
    """A name of the study as prose and figures write it."""
    return "REINFORCE" if name == "reinforce" else name.replace("_", " ")
