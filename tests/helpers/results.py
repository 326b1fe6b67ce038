"""Results as jobs leave them, with a record beside each, and damage to them."""

from __future__ import annotations

from pathlib import Path

from scorepath.store.files import write_rows
from scorepath.store.records import recorded

RESULT = Path("results/gradients/lqr/pathwise/sigma=0.1.csv")


def make(*results: Path) -> None:
    """What a job does."""
    with recorded(["gradients", "lqr", "path wise", "0.1"]):
        for result in results:
            write_rows(result, [{"a": 1.5, "b": 2}])


def flip(path: Path) -> None:
    """One digit becomes another, as on a failing disk."""
    path.write_bytes(path.read_bytes().replace(b"1.5", b"1.6"))
