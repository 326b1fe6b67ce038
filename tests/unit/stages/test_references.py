"""The references' files: one that is missing or damaged is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.small_studies import small_plan

from scorepath.stages._references import load_policies
from scorepath.stages.reference_policies import reference_policies
from scorepath.store.paths import policies_path


def test_a_missing_file_names_the_command_that_makes_it(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"snakemake --cores 1 results/references/mine/policies\.npz"):
        load_policies("mine")


@pytest.mark.parametrize("damage", ["empty", "text", "cut in half"])
def test_an_unreadable_file_is_named(folder: Path, damage: str) -> None:
    plan = small_plan([{"name": "mine", "family": "quadratic"}])
    reference_policies(plan, "mine")
    path = policies_path("mine")
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("no arrays here")
        case "cut in half":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"results/references/mine/policies\.npz cannot be read .*delete it"):
        load_policies("mine")
