"""What `scorepath verify` samples, and how it words a difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scorepath.provenance.verify import difference, sample
from scorepath.study.jobs import RULES, Job

ENVIRONMENTS = [f"environment_{number}" for number in range(12)]
ESTIMATORS = [f"estimator_{number}" for number in range(9)]
JOBS = [
    Job(RULES["gradients"], Path(f"{place}/{name}/{sigma}"), "", (), place, name)
    for place in ENVIRONMENTS
    for name in ESTIMATORS
    for sigma in range(4)
]


@pytest.mark.parametrize("seed", range(20))
def test_a_sample_touches_everything(seed: int) -> None:
    chosen = sample(JOBS, 0.05, seed)
    assert len(chosen) == len(set(chosen)) == 22  # ceil(0.05 * 432)
    assert {job.environment for job in chosen} == set(ENVIRONMENTS)
    assert {job.estimator for job in chosen} == set(ESTIMATORS)


def test_the_seed_alone_decides_on_the_sample() -> None:
    assert sample(JOBS, 0.1, 1) == sample(JOBS, 0.1, 1)
    assert set(sample(JOBS, 0.1, 1)) != set(sample(JOBS, 0.1, 2))


def test_every_job_is_sampled_at_times() -> None:
    found = {job for seed in range(100) for job in sample(JOBS, 0.1, seed)}
    assert found == set(JOBS)


def test_small_and_whole_samples() -> None:
    assert len(sample(JOBS, 1e-9, 0)) == 1
    assert set(sample(JOBS, 1.0, 0)) == set(JOBS)
    assert sample([], 0.1, 0) == []


@pytest.mark.parametrize(
    ("stored", "computed", "words"),
    [
        ("a,b\n1,2\n", "a,b\n1,2\n", ""),
        ("a,b\n1,2\n3,4\n", "a,b\n1,2\n3,5\n", "row 2, column b: 4 is stored, 5 was computed"),
        ("a,b\n1,2\n", "a,b\n1,2\n3,4\n", "the stored file ends after row 1"),
        ("a,b\n1,2\n3,4\n", "a,b\n1,2\n", "the computed file ends after row 1"),
        ("a,b\n1,2\n", "a,b\n1\n", "row 1, column b: 2 is stored, nothing was computed"),
        ("a,b\r\n1,2\n", "a,b\n1,2\n", "the numbers are the same, the bytes are not"),
    ],
)
def test_tables_are_compared_cell_by_cell(tmp_path: Path, stored: str, computed: str, words: str) -> None:
    ours, theirs = tmp_path / "ours.csv", tmp_path / "theirs.csv"
    ours.write_bytes(stored.encode())
    theirs.write_bytes(computed.encode())
    assert difference(ours, theirs) == words


def test_arrays_are_compared_number_by_number(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.npz", tmp_path / "theirs.npz"
    values = np.array([[0.0, np.nan], [2.0, 3.0]])
    np.savez(ours, names=np.array(["x"]), values=values)
    np.savez(theirs, names=np.array(["x"]), values=values)
    assert difference(ours, theirs) == ""
    changed = values.copy()
    changed[1, 0] = 2.5
    np.savez(theirs, names=np.array(["x"]), values=changed)
    assert difference(ours, theirs) == "array values[1, 0]: 2.0 is stored, 2.5 was computed"
    np.savez(theirs, names=np.array(["x"]), values=values[:1])
    assert difference(ours, theirs) == "array values: the shape (2, 2) is stored, (1, 2) was computed"
    np.savez(theirs, names=np.array(["x"]))
    assert difference(ours, theirs) == "array values is only stored"
    ours.write_bytes(theirs.read_bytes()[:50])
    assert "cannot be read" in difference(ours, theirs)
