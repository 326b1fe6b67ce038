"""Result files that have been damaged: a reader gives what was written, or says which file to make again.

With its record beside it every changed byte is found. Without one (deleted, or a file that someone made by hand) a
reader still never fails in another way; then a changed digit is a number like any other.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.helpers.project import CONFIG

from scorepath.stages._measurements import read_rows
from scorepath.stages._references import load_policies, load_reference
from scorepath.stages.plan import make_plan
from scorepath.store.files import atomic_write, write_rows
from scorepath.store.paths import PLAN, RECORDS
from scorepath.store.records import recorded
from scorepath.store.tables import Tables
from scorepath.study.cells import Plan

CELL = Path("results/gradients/lqr/reinforce/sigma=0.5.csv")
COSTS = Path("results/costs/lqr.csv")
POLICIES = Path("results/references/lqr/policies.npz")
REFERENCE = Path("results/references/lqr/sigma=0.5.npz")
TABLE = Path("results/tables/verdicts.csv")

READERS: dict[Path, Callable[[], object]] = {
    PLAN: Plan.load,
    CELL: lambda: read_rows(CELL),
    COSTS: lambda: read_rows(COSTS),
    POLICIES: lambda: load_policies("lqr"),
    REFERENCE: lambda: load_reference("lqr", 0.5),
    TABLE: lambda: Tables(TABLE.parent).read("verdicts"),
}


def write_npz(path: Path, **arrays: Any) -> None:
    with atomic_write(path, "wb") as file:
        np.savez(file, **arrays)


def pickled() -> bytes:
    """An archive that numpy could only read by running what it says."""
    buffer = io.BytesIO()
    np.savez(buffer, parameters=np.array([print, {"a": 1}], dtype=object), returns=np.zeros(2))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Path, bytes]]:
    """One file of every kind with its record, and the bytes of each; the tests of this module run beside them."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("study"))
    generator = np.random.default_rng(1)
    rows = [{"checkpoint": 0.5, "block": i, "variance": float(generator.normal())} for i in range(8)]
    with recorded(["a", "test"]):
        make_plan(CONFIG).save(PLAN)
        write_rows(CELL, rows)
        write_rows(COSTS, [{"estimator": "reinforce", "repeat": 0, "seconds": 1e-6}])
        write_npz(
            POLICIES, parameters=generator.normal(size=(2, 3)), returns=np.ones(2), initial_return=0.0, best_return=1.0
        )
        write_npz(
            REFERENCE,
            gradients=generator.normal(size=(2, 1, 3)),
            standard_error=np.zeros(2),
            reference_class="recursion",
            certified=np.ones(2, bool),
            certified_by=np.array(["exact", "exact"]),
            estimated_by=np.array(["recursion", "recursion"]),
            noticeable=np.zeros(2),
            continuous=True,
            findings=np.array(["", ""]),
            jump_shares=np.zeros(2),
            samples=0,
        )
        write_rows(TABLE, [{"environment": "lqr", "sigma": 0.5, "verdict": "pathwise", "value": 0.25}])
    yield {path: path.read_bytes() for path in READERS}
    os.chdir(before)


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes, list[bytes]], bytes]:
    """A way to damage a file's bytes, given those of all files."""
    where, byte = draw(st.floats(0, 1)), draw(st.integers(0, 255))
    kind = draw(
        st.sampled_from(["cut", "flip", "insert", "delete", "empty", "zeros", "other", "line", "pickle", "text"])
    )

    def damage(content: bytes, others: list[bytes]) -> bytes:
        at = min(int(where * len(content)), len(content) - 1)
        match kind:
            case "cut":
                return content[:at]
            case "flip":
                return content[:at] + bytes([content[at] ^ (1 << byte % 8)]) + content[at + 1 :]
            case "insert":
                return content[:at] + bytes([byte]) * (1 + byte % 3) + content[at:]
            case "delete":
                return content[:at] + content[at + 1 + byte % 5 :]
            case "empty":
                return b""
            case "zeros":
                return content[:at] + bytes(len(content) - at)
            case "other":
                return others[byte % len(others)]
            case "line":  # wrong columns
                return b"a,b\n1,2\n" if byte % 2 else content.partition(b"\n")[2]
            case "pickle":
                return pickled()
        return [b"[]", b"{}", b"null", b'{"key": 1}', b"\xff\xfe", b"a,a\n1,2\n", b"1,2,3\n1\n"][byte % 7]

    return damage


def judge(path: Path, content: bytes) -> bool:
    """Read a file of these bytes: whether it can be read at all; if not, the one error names it and the remedy."""
    path.write_bytes(content)
    try:
        READERS[path]()
    except ValueError as error:
        message = str(error)
        assert str(path) in message, message
        assert any(word in message for word in ("delete it", "repair")), message
        return False
    return True


@pytest.mark.parametrize("path", READERS, ids=str)
@pytest.mark.parametrize("record", [True, False], ids=["recorded", "unrecorded"])
def test_a_damaged_file_is_named(whole: dict[Path, bytes], path: Path, record: bool) -> None:
    aside = Path("aside")
    if not record:
        shutil.move(RECORDS, aside)
    read = []

    @settings(
        max_examples=100, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(damages())
    def each(damage: Callable[[bytes, list[bytes]], bytes]) -> None:
        content = damage(whole[path], list(whole.values()))
        if content != whole[path]:
            read.append(judge(path, content))

    try:
        assert judge(path, whole[path])
        each()
    finally:
        path.write_bytes(whole[path])
        if not record:
            shutil.move(aside, RECORDS)
    assert len(read) > 50
    assert not (record and any(read))
    assert not all(read)


def test_no_archive_is_unpickled(whole: dict[Path, bytes], tmp_path: Path) -> None:
    """Neither with a record nor without one: the objects in it would be code of whoever wrote it."""

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    shutil.move(RECORDS, tmp_path / "records")
    try:
        for path in (POLICIES, REFERENCE):
            with np.load(path) as stored:
                arrays = {key: stored[key] for key in stored.files}
            first = next(iter(arrays))
            np.savez(path, **{**arrays, first: np.array([Trap()], dtype=object)})
            with pytest.raises(ValueError, match=str(path)):
                READERS[path]()
            path.write_bytes(whole[path])
    finally:
        shutil.move(tmp_path / "records", RECORDS)
    assert not (tmp_path / "sprung").exists()
