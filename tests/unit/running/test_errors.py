"""What is shown of a failed job's log."""

from __future__ import annotations

from pathlib import Path

import pytest

from scorepath.running.errors import LOG_LINES, TRACEBACK, log_tail, plain_error

SENTENCE = "scorepath: a fault in Scorepath, not in your study: KeyError: 'reinforce'"


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (["a warning", SENTENCE], ["a warning", SENTENCE]),
        (["a warning", TRACEBACK, "  File ...", "KeyError: 'reinforce'", SENTENCE], [SENTENCE]),
        ([TRACEBACK, "KeyError: 'reinforce'"], [TRACEBACK, "KeyError: 'reinforce'"]),
        ([str(number) for number in range(40)], [str(number) for number in range(40 - LOG_LINES, 40)]),
    ],
    ids=["no traceback", "a sentence below a traceback", "only a traceback", "long"],
)
def test_the_end_of_a_log(lines: list[str], shown: list[str], tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text("\n".join(lines) + "\n\n")
    assert log_tail([str(tmp_path / "absent.log"), str(log)]) == shown


def test_a_home_folder_that_takes_no_cache_is_told_with_the_remedy() -> None:
    message = (
        'Traceback (most recent call last):\n\n  File ".../snakemake/sourcecache.py", line 470, in __init__\n'
        "    os.makedirs(self.cache_path)\n\nPermissionError: [Errno 13] Permission denied: '/home/me/.cache'\n"
    )
    told = plain_error(message, "PermissionError")
    assert "/home/me/.cache cannot be made" in told
    assert "XDG_CACHE_HOME" in told
    assert "Traceback" not in told
