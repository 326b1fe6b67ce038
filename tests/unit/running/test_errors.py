"""What is shown of a failed job's log."""

from __future__ import annotations

from pathlib import Path

import pytest

from scorepath.running.errors import LOG_LINES, NO_YAML, TRACEBACK, configfiles, log_tail, plain_error

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


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["snakemake", "--cores", "2"], []),
        (["snakemake", "--configfile", "mine.yaml", "--cores", "2"], ["mine.yaml"]),
        (["snakemake", "--cores=2", "--configfile=my study.yaml", "all"], ["my study.yaml"]),
        (["snakemake", "--configfiles", "one.yaml", "two.yaml", "-n", "all"], ["one.yaml", "two.yaml"]),
    ],
)
def test_the_configuration_files_that_were_given(arguments: list[str], files: list[str]) -> None:
    assert configfiles(arguments) == files


@pytest.mark.parametrize(
    ("given", "told"), [([], "--unlock`,"), (["--configfile=my study.yaml"], "--unlock --configfile 'my study.yaml'`,")]
)
def test_a_lock_is_opened_for_the_same_study(given: list[str], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its configuration Snakemake would look for config.yaml, and may find none."""
    monkeypatch.setattr("sys.argv", ["snakemake", "--cores", "2", *given])
    assert told in plain_error("Error: Directory cannot be locked.", "LockException")


def test_no_yaml_is_told_with_file_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = f"{NO_YAML} In case of YAML, make sure to not mix whitespace and tab indentation."
    monkeypatch.setattr("sys.argv", ["snakemake", "--configfile", "good.yaml", "bad.yaml"])
    assert plain_error(message, "WorkflowError") == message  # of files that are not there there is nothing to say
    Path("good.yaml").write_text("seed: 5\n")
    Path("bad.yaml").write_text("seed: 5\nplugins: [a\nnoise: 3\n")
    assert plain_error(message, "WorkflowError").startswith("bad.yaml, line 3 is not valid YAML: expected ',' or ']'")
    monkeypatch.setattr("sys.argv", ["snakemake", "--cores", "2"])
    Path("config.yaml").write_text("\tseed: 5\n")
    assert plain_error(message, "WorkflowError").startswith("config.yaml, line 1 is not valid YAML: ")
