"""The run with its results and sources, packed and described for machines (RO-Crate)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scorepath.provenance.crate import write_crate
from scorepath.store.paths import CRATE

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def crate(plan: Plan) -> None:
    """Pack the run with its results and sources, described for machines (RO-Crate)."""
    write_crate(CRATE)
