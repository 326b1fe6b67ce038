"""The numbers behind the student's questions, from experiments of their own: the same ones in every study."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from scorepath.questions.limit import limit_rows
from scorepath.questions.one_step import figure_rows
from scorepath.questions.swing import derivative_rows, use_rows
from scorepath.questions.theorem import choice_rows, reward_noise_rows, theorem_rows
from scorepath.store.tables import save

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def questions(plan: Plan) -> None:
    """Compute the numbers behind the student's questions.

    They depend on no environment or estimator that is configured, only on the seed.
    """
    seed = plan.study.seed
    numbers = [*choice_rows(seed), *reward_noise_rows(seed), *derivative_rows(), *use_rows(seed)]
    for name, rows in (
        ("student_limit", limit_rows(seed)),
        ("student_theorem", theorem_rows(seed)),
        ("student_numbers", numbers),
        ("student_figure", figure_rows()),
    ):
        save(name, pd.DataFrame(list(rows)))
