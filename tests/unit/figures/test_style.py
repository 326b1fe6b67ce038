"""Which estimators a figure of lines shows at first, and how they look."""

from __future__ import annotations

from dataclasses import replace

from scorepath.figures.sheet import Sheet
from scorepath.figures.style import FAMILIES, MOST_LINES, EstimatorStyle, featured, left_out, the_rest

NAMES = [f"estimator_{index:02}" for index in range(20)] + ["pathwise", "reinforce"]
STYLES = {name: EstimatorStyle("", "", "", "", name in NAMES[-2:]) for name in NAMES}


def test_a_panel_shows_the_protagonists_and_those_listed_first() -> None:
    shown = featured(STYLES, NAMES)
    assert shown == [*NAMES[: MOST_LINES - 2], "pathwise", "reinforce"]
    assert featured(STYLES, NAMES[:3]) == NAMES[:3]


def test_every_family_is_shown_before_one_has_two() -> None:
    families = dict(zip(NAMES[10:13], ("mixture", "measure_valued", "mixture"), strict=True))
    styles = {name: replace(look, family=families.get(name, "other")) for name, look in STYLES.items()}
    assert featured(styles, NAMES) == [NAMES[0], NAMES[10], NAMES[11], "pathwise", "reinforce"]


def test_the_rest_is_drawn_by_number_and_said_to_be_there() -> None:
    sheet = Sheet(1.0, 1.0)
    drawn = the_rest(sheet, STYLES, NAMES)
    assert len(sheet.rest) == len(NAMES) - MOST_LINES
    assert [drawn[name] for name in featured(STYLES, NAMES)] == [None] * MOST_LINES
    assert drawn["estimator_05"] == sheet.rest.index("estimator 05")
    assert f"{len(sheet.rest)} more can be chosen" in left_out(drawn)
    assert not left_out(dict.fromkeys(NAMES[:3]))


def test_families_have_one_colour_each() -> None:
    """The first tone of each is its colour, and no tone stands for two."""
    tones = [tone for family in FAMILIES.values() for tone in family]
    assert len(tones) == len(set(tones))
