"""A study's results are read only if they are whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.helpers.results import RESULT, flip, make

from scorepath.stages._measurements import read_columns, read_rows

pytestmark = pytest.mark.usefixtures("folder")


def test_columns_are_those_of_the_rows() -> None:
    make(RESULT)
    rows, columns = read_rows(RESULT), read_columns(RESULT)
    assert list(columns) == list(rows.columns)
    for name, values in columns.items():
        assert values.tolist() == rows[name].tolist()


@pytest.mark.parametrize("read", [read_rows, read_columns])
def test_a_result_that_changed_is_refused(read: Callable[[Path], object]) -> None:
    make(RESULT)
    flip(RESULT)
    with pytest.raises(ValueError, match=r"sigma=0.1.csv is damaged.*`scorepath repair`"):
        read(RESULT)


@pytest.mark.parametrize("text", ["", "a,b\n", "a,b\n1,2\n3"])
@pytest.mark.parametrize("read", [read_rows, read_columns])
def test_a_result_that_was_cut_off_is_refused(read: Callable[[Path], object], text: str) -> None:
    """Of a file without a record, say."""
    RESULT.parent.mkdir(parents=True)
    RESULT.write_text(text)
    with pytest.raises(ValueError, match=r"sigma=0.1.csv is cut off"):
        read(RESULT)


@pytest.mark.parametrize("text", ["a,b\n1,2\n3\n", "a,b\n1,2\n3,4,5\n", "a,b\n1,x\n"])
def test_columns_of_what_is_no_table_of_numbers_are_refused(text: str) -> None:
    RESULT.parent.mkdir(parents=True)
    RESULT.write_text(text)
    with pytest.raises(ValueError, match=r"sigma=0.1.csv cannot be read"):
        read_columns(RESULT)
