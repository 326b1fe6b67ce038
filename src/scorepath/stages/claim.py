"""One claim of the ledger, tried by its own experiment: its rows, and the verdict on each."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from scorepath import registry
from scorepath.claims._lab import Claim, Lab
from scorepath.stages._ledger import row
from scorepath.store.files import write_rows
from scorepath.store.paths import claim_path
from scorepath.store.tables import COLUMNS

if TYPE_CHECKING:
    from scorepath.study.cells import Plan

FIGURE = "ledger"
"""Where the report draws all of them."""


def claim(plan: Plan, claim: str) -> None:
    """Try one claim of the ledger.

    Raises:
        LookupError: if there is no such claim.
    """
    if claim not in registry.names(registry.CLAIMS):
        raise LookupError(f"there is no claim {claim!r}; there are {', '.join(registry.names(registry.CLAIMS))}")
    write_rows(claim_path(claim), rows_of(claim, Lab(claim, plan.study.seed)), COLUMNS["claims"])


def rows_of(name: str, lab: Lab) -> list[dict[str, object]]:
    """The ledger's rows that an experiment gives in this lab."""
    tried: Claim = import_module(f"{registry.CLAIMS}.{name}").CLAIM
    rows = []
    for found in tried.experiment(lab):
        made = row(name.replace("_", "-"), tried.source, found.prediction, found.measured, found.predicted,
                   found.accepted, FIGURE)  # fmt: skip
        open_ = made["consistency"] == "inconsistent" or made["tolerance"] != "within"
        rows.append(made | {"why": tried.why if open_ else ""})
    return rows
