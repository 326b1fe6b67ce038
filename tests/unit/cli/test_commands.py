"""What a subcommand says where it fails."""

from __future__ import annotations

import errno
import io
import os
import sys

import pytest

from scorepath.cli import commands as cli


@pytest.mark.usefixtures("folder")
def test_a_failure_that_cannot_even_be_told_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the log lies on the disk that is full."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sys, "stderr", Full())
    assert cli.run_here(["claims"]) == 1  # there are no tables
