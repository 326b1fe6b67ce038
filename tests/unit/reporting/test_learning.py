"""What training came to, row by row, and what the page says of these rows."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from scorepath.reporting import learning
from scorepath.store.tables import Tables

SAID = "a dash where no more than half of them reach it"


@pytest.mark.parametrize(
    ("reached", "middle"), [([3.0, 5.0, 7.0, math.inf], 6.0), ([3.0, 5.0, math.inf, math.inf], None)]
)
def test_a_median_needs_more_than_half_the_seeds(
    reached: list[float], middle: float | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = {"environment": "lqr", "sigma": 0.1, "estimator": "pathwise"}
    runs = pd.DataFrame({**place, "score": 1.0, "area": 0.5, "reached": reached, "seconds": reached})
    monkeypatch.setattr(learning, "scores", lambda _: runs)
    (row,) = learning.learning_rows(Tables(tmp_path))
    assert (row["reached"], row["seconds"]) == (middle, middle)
    template = Path(learning.__file__).parent / "templates/learning.html.j2"
    assert SAID in template.read_text(encoding="utf-8")
