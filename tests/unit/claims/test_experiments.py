"""Every experiment of the ledger comes out as it says, and each row has a mutant that is refuted. Seeds are fixed."""

from __future__ import annotations

from importlib import import_module

import pytest

from scorepath import registry
from scorepath.claims._lab import Claim, Lab
from scorepath.stages.claim import rows_of

SEED = 20261122
CLAIMS = registry.names(registry.CLAIMS)


def claim_of(name: str) -> Claim:
    claim: Claim = import_module(f"{registry.CLAIMS}.{name}").CLAIM
    return claim


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_comes_out_as_it_says_and_each_row_has_a_mutant_that_does_not(name: str) -> None:
    claim = claim_of(name)
    own = rows_of(name, Lab(name, SEED))
    assert own
    outside = [row["prediction"] for row in own if row["tolerance"] == "outside"]
    assert bool(outside) == claim.refuted, outside
    unmoved = {number: str(row["prediction"]) for number, row in enumerate(own)}
    for mutant in claim.mutants:
        for number, (row, before) in enumerate(zip(rows_of(name, Lab(name, SEED, mutant)), own, strict=True)):
            if (row["tolerance"] == "outside") != (before["tolerance"] == "outside"):
                unmoved.pop(number, None)
    assert not unmoved, "no mutant changes the verdict on these"


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_has_a_source_and_says_why_it_fails(name: str) -> None:
    claim = claim_of(name)
    assert claim.source
    assert claim.prediction.endswith(".")
    assert claim.why.endswith(".") or not claim.refuted


def test_what_needs_mujoco_says_so_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorepath.claims.mujoco_onset.find_spec", lambda _: None)
    (row,) = rows_of("mujoco_onset", Lab("mujoco_onset", SEED))
    assert row["tolerance"] == "undecided"
    assert "pip install" in str(row["why"])
