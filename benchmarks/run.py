"""The benchmarks, each part in one environment that holds Scorepath and its peers.

    python benchmarks/run.py [gradients] [training] [scaling] [pipeline] [cell] [--quick] [--threads 1 2]

The environment is `.venv-benchmarks`; it is made when it is missing and anew when requirements change. Options are
handed to the parts; tables and figures go to `results/benchmarks/`. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv-benchmarks"
PYTHON = ENVIRONMENT / "bin" / "python"
REQUIREMENTS = ROOT / "benchmarks" / "requirements.txt"
LOCK = ROOT / "requirements.lock"
PARTS = {
    "gradients": "benchmarks.gradients.compare",
    "training": "benchmarks.training.compare",
    "scaling": "benchmarks.scaling",
    "pipeline": "benchmarks.pipeline",
    "cell": "benchmarks.cell",
}
"""Each part and the module that runs it."""


def dependencies() -> list[str]:
    """What Scorepath itself needs at run time."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"])


def make_environment() -> None:
    """Create the environment, unless one of the same requirements is there."""
    needed = [REQUIREMENTS.read_bytes(), LOCK.read_bytes(), *map(str.encode, dependencies())]
    wanted = hashlib.sha256(b"\0".join(needed)).hexdigest()
    stamp = ENVIRONMENT / "requirements.sha256"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    print(f"Installing the benchmark environment into {ENVIRONMENT.name} (once; several minutes) ...", flush=True)
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run = subprocess.run([*pip, "--constraint", str(LOCK), "-r", str(REQUIREMENTS), *dependencies()], check=False)
    if run.returncode == 0:
        run = subprocess.run([*pip, "--no-deps", "--editable", str(ROOT)], check=False)
    if run.returncode:
        sys.exit("The environment could not be installed: see pip's message above, then run the command again.")
    stamp.write_text(wanted, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all of them by default")
    arguments, options = parser.parse_known_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {sorted(unknown)[0]!r}; choose of {', '.join(PARTS)}")
    make_environment()
    # the parts' own commands, snakemake among them, come from this environment
    path = os.pathsep.join([str(PYTHON.parent), os.environ["PATH"]])
    for part in arguments.parts or PARTS:
        command = [str(PYTHON), "-m", PARTS[part], *options]
        if subprocess.run(command, cwd=ROOT, env=os.environ | {"PATH": path}, check=False).returncode:
            sys.exit(f"The part {part!r} failed; its message is above.")


if __name__ == "__main__":
    main()
