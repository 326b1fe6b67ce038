"""Which estimators a figure of lines can hold."""

from __future__ import annotations

from scorepath.figures.style import MOST_LINES, EstimatorStyle, featured, left_out


def test_a_figure_of_lines_holds_the_protagonists_and_those_listed_first() -> None:
    names = [f"estimator_{index:02}" for index in range(20)] + ["pathwise", "reinforce"]
    styles = {name: EstimatorStyle("", "", "", "", name in names[-2:]) for name in names}
    shown = featured(styles, names)
    assert shown == [*names[: MOST_LINES - 2], "pathwise", "reinforce"]
    assert "12 more estimators" in left_out(shown, names)
    assert featured(styles, names[:3]) == names[:3]
    assert not left_out(names[:3], names[:3])
