"""One figure of a study."""

from __future__ import annotations

import pytest
from tests.helpers.small_studies import small_plan

from scorepath.stages.figure import figure


def test_an_unknown_figure_is_named_in_the_error() -> None:
    with pytest.raises(LookupError, match=r"no figure 'pie'.*verdict_map"):
        figure(small_plan(["relu"]), "pie")
