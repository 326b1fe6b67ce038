"""A project folder: a copy of the code beside the configuration of a very small study.

The copy's `src` stands on PYTHONPATH, so that a test may edit sources without touching the checkout; before it
`tests/workflow/as_installed`, which hides what the project does not install. Copies keep times of modification:
Snakemake takes them for what they are copied from.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from tests.helpers.installation import OF_MAKE_RUN, modules_not_brought

ROOT = Path(__file__).parents[2]
CODE = ("Snakefile", "workflow", "src", "profiles")
BIN = Path(sys.executable).parent
AS_INSTALLED = ROOT / "tests/workflow/as_installed"

CONFIG: dict[str, Any] = {
    "seed": 1,
    "noise_levels": [0, 0.5],
    "environments": [
        {"name": "cosine", "family": "cosine", "frequency": 2.0, "phase": 1.0},
        {"name": "lqr", "family": "lqr", "horizon": 2, "dynamics": [[0.9]], "control": [[0.5]]},
        {"name": "swing", "family": "pendulum", "horizon": 3, "policy": {"kind": "linear"}},
    ],
    "estimators": ["reinforce", "leave_one_out", "pathwise", "inverse_variance"],
    "gradients": {"samples": 128, "batch_size": 16, "dtype": "float32"},
    "references": {"noise_level": 0.1, "return_gaps": [0, 0.5], "samples": 1280},
    "training": {
        "environments": ["lqr"],
        "estimators": ["reinforce", "pathwise"],
        "noise_levels": [0.5],
        "learning_rates": [0.01, 0.1],
        "extension": 0,
        "seeds": 3,
        "iterations": 4,
    },
    "costs": {"repeats": 2},
    "statistics": {"resamples": 100},
}


@dataclass(frozen=True)
class Run:
    """An ended command."""

    status: int
    output: str
    """What it wrote to stdout and then to stderr."""


@dataclass(frozen=True)
class Project:
    """A folder with a copy of the code, a study's config.yaml, and its results as far as they are computed."""

    folder: Path
    extras: tuple[str, ...] = OF_MAKE_RUN
    """What is installed with Scorepath."""

    def path(self, name: str) -> Path:
        return self.folder / name

    @property
    def environment(self) -> dict[str, str]:
        """Variables under which this copy is the code that runs, with nothing that is not installed with it."""
        # without bytecode each of the many processes would compile the sources again
        left_out = ("SCOREPATH", "SNAKEMAKE", "PYTHONDONTWRITEBYTECODE")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
        return kept | {
            "PYTHONPATH": os.pathsep.join([str(AS_INSTALLED), str(self.folder / "src")]),
            "NOT_INSTALLED": ",".join(modules_not_brought(*self.extras)),
            "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
        }

    def execute(self, *command: str) -> Run:
        ended = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=600
        )
        return Run(ended.returncode, ended.stdout + ended.stderr)

    def snakemake(self, *arguments: str) -> Run:
        """Plain Snakemake."""
        return self.execute(sys.executable, "-m", "snakemake", *arguments)

    def run(self, *arguments: str) -> Run:
        """Snakemake beside the warm worker, as `make run` calls it."""
        return self.execute(str(BIN / "scorepath"), "run", "--cores", "2", *arguments)

    def dry_run(self, *arguments: str) -> set[str]:
        """The jobs that would run, as `rule` or `rule wildcard/wildcard/...`; checked against its own counts."""
        ended = self.snakemake("--dry-run", *arguments)
        assert ended.status == 0, ended.output
        listing, _, table = ended.output.partition("Job stats:")
        counts = Counter({row[1]: int(row[2]) for row in re.finditer(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)})
        if not counts:
            assert "Nothing to be done" in ended.output, ended.output
            return set()
        found = []
        for line in listing.splitlines():
            words = line.partition("  [")[0].split()
            if words and words[0] in counts:
                wildcards = "/".join(word.partition("=")[2] for word in words[1:])
                found.append(f"{words[0]} {wildcards}".strip())
        del counts["total"]
        assert Counter(job.split()[0] for job in found) == counts, ended.output
        return set(found)

    def append(self, name: str, text: str) -> None:
        """Add text to the end of a file, which need not exist."""
        with self.path(name).open("a", encoding="utf-8") as file:
            file.write(text)

    def configure(self, **changes: Any) -> None:
        """Write config.yaml anew with some top-level keys replaced."""
        self.path("config.yaml").write_text(yaml.safe_dump({**CONFIG, **changes}, sort_keys=False), encoding="utf-8")

    def results(self, pattern: str) -> dict[str, bytes]:
        """The files under results/ that match, by their path in there."""
        root = self.path("results")
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.glob(pattern))}

    def copy(self, folder: Path) -> Project:
        """A copy that keeps all times of modification."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return replace(self, folder=folder)


def new_project(folder: Path, *extras: str) -> Project:
    """The checkout's code as it stands, beside the small study's config.yaml; nothing is computed.

    Args:
        folder: a new one.
        extras: installed beside those of `make run`.
    """
    folder.mkdir()
    ignored = shutil.ignore_patterns("*.pyc.*", "*.egg-info", ".*")  # the first are bytecode that is being written
    for name in CODE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy2(ROOT / name, folder / name)
    project = Project(folder, (*OF_MAKE_RUN, *extras))
    project.configure()
    return project
