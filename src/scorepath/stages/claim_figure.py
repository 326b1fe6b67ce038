"""What one claim's experiment found, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scorepath.figures.ledger import draw_rows
from scorepath.stages._measurements import read_rows
from scorepath.store.paths import claim_figure_path, claim_path

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def claim_figure(plan: Plan, claim: str) -> None:
    """Draw what a claim's experiment found."""
    draw_rows(read_rows(claim_path(claim)), claim_figure_path(claim), f"Claim {claim.replace('_', '-')}")
