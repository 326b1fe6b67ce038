"""`scorepath run` is `snakemake` by another name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_arguments_and_exit_status_are_snakemakes(tmp_path: Path) -> None:
    package = tmp_path / "snakemake"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("import sys; print(sys.argv[1:]); sys.exit(7)")
    command = [sys.executable, "-m", "scorepath", "run", "--cores", "2", "-n", "--config", "seed=7"]
    ran = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert ran.returncode == 7, ran.stderr
    assert ran.stdout == "['--cores', '2', '-n', '--config', 'seed=7']\n"


def scorepath(*arguments: str) -> str:
    command = [sys.executable, "-m", "scorepath", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_its_help_is_short_and_names_snakemakes() -> None:
    text = scorepath("run", "--help")
    assert "`snakemake --help`" in " ".join(text.split())
    assert len(text.splitlines()) < 15


def test_the_version_is_told() -> None:
    assert scorepath("--version").startswith("scorepath 0.")
