"""Where the winner changes between the noise levels of a study, by the exact curves: every crossing, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scorepath.figures.wording import in_order, label
from scorepath.store.tables import Tables


@dataclass(frozen=True)
class Crossing:
    """A noise level at which pathwise and its rival have equal exact variances, and so errors, at the start."""

    sigma: float
    rival: str
    pathwise_above: bool

    def __str__(self) -> str:
        return f"{self.sigma:.3g} {'S → P' if self.pathwise_above else 'P → S'}"


def exact_crossings(tables: Tables) -> dict[str, list[Crossing]]:
    """Per environment all crossings within the range of the study's noise levels, by rising noise.

    Environments whose curves do not cross are not in it.
    """
    curves = tables.read("exact_curves")
    levels = tables.read("gradient_statistics")["sigma"]
    low, high = levels[levels > 0].min(), levels.max()
    rows = curves[(curves["quantity"] == "crossing") & curves["sigma"].between(low, high)].sort_values("sigma")
    return {
        name: [
            Crossing(sigma, rival, value > 0)
            for sigma, rival, value in rows.loc[rows["environment"] == name, ["sigma", "estimator", "value"]].to_numpy()
        ]
        for name in in_order(curves, "environment")
        if (rows["environment"] == name).any()
    }


def curves_sentence(tables: Tables, winners: Sequence[str]) -> str:
    """All crossings of the exact curves; "" where there are none.

    `winners` are the environments in which pathwise wins every comparison that is decided: what contradicts that
    between the levels is said.
    """
    found = exact_crossings(tables)
    if not found:
        return ""
    parts = [f"{'; '.join(map(str, own))} ({label(name)})" for name, own in found.items()]
    rivals = dict.fromkeys(label(crossing.rival) for own in found.values() for crossing in own)
    text = (
        "Between the levels exact curves tell, where there are any: at the start of training pathwise (P) and the"
        f" better score-function estimator with such a curve (S: {' or '.join(rivals)}) have equal errors at σ ="
        f" {', '.join(parts)}."
    )
    against = [label(name) for name in found if name in winners]
    if against:
        text += f" So pathwise does not win everywhere in {' and '.join(against)}, whatever the levels tried say."
    return text
