"""Files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.results import RESULT

from scorepath.store.files import atomic_write

pytestmark = pytest.mark.usefixtures("folder")


def test_a_write_that_fails_leaves_nothing() -> None:
    with pytest.raises(UnicodeEncodeError), atomic_write(RESULT) as file:
        file.write("half, and then what UTF-8 cannot hold: \ud800")
    assert not list(Path("results").rglob("*.csv*"))
