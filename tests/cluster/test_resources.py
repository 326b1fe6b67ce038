"""What every rule asks of a cluster, and what the profile for Slurm makes of it; needs no cluster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helpers.project import ROOT, Project, new_project

pytestmark = pytest.mark.workflow


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """With a job of every rule."""
    project = new_project(tmp_path / "fresh", "cluster")
    sweep = {"name": "s", "family": "cosine", "frequency": 2.0, "axes": {"sigma": [0.1, 0.3]}, "rivals": ["reinforce"]}
    project.configure(sweeps=[sweep], claims=["wrong_sign"])
    return project


def profile(folder: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / folder / "profile.v9+.yaml").read_text(encoding="utf-8"))
    return read


def asked(project: Project, attempt: int) -> dict[str, dict[str, str]]:
    """The resources of every rule's jobs at this attempt, as Snakemake would hand them on."""
    # no profile: Snakemake's own listing names resources, the study's progress display doesn't
    ended = project.snakemake("--dry-run", "--cores", "2", "--workflow-profile", "none", "--attempt", str(attempt))
    assert ended.status == 0, ended.output
    blocks = re.findall(r"^rule (\w+):\n((?:    .*\n)+)", ended.output, flags=re.MULTILINE)
    return {rule: dict(re.findall(r"(mem_mb|runtime)=([^,\s]+)", block)) for rule, block in blocks if rule != "all"}


def test_every_rule_asks_for_memory_and_time_and_for_twice_as_much_in_the_next_attempt(fresh: Project) -> None:
    first, second, fourth = (asked(fresh, attempt) for attempt in (1, 2, 4))
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "workflow/rules").glob("*.smk")]
    assert first.keys() == {rule for text in texts for rule in re.findall(r"^rule (\w+):", text, flags=re.MULTILINE)}
    for rule, resources in first.items():
        assert resources.keys() == {"mem_mb", "runtime"}, rule
        assert int(resources["mem_mb"]) >= 1000, rule
        assert int(resources["runtime"]) >= 5, rule
        assert second[rule] == {name: str(2 * int(value)) for name, value in resources.items()}, rule
        assert fourth[rule] == {name: str(8 * int(value)) for name, value in resources.items()}, rule


def test_the_profile_for_slurm_has_what_the_one_it_replaces_had() -> None:
    default, slurm = profile("profiles/default"), profile("workflow/profiles/slurm")
    assert (default.pop("executor"), slurm["executor"]) == ("scorepath", "slurm")
    assert default.items() <= slurm.items()
    assert slurm["retries"] == 3
    assert "retries" not in default, "on one machine a failed job would only fail again"


def test_groups_name_rules_that_there_are(fresh: Project) -> None:
    slurm = profile("workflow/profiles/slurm")
    groups = dict(group.split("=") for group in slurm["groups"])
    assert groups.keys() <= asked(fresh, 1).keys()
    assert {size.split("=")[0] for size in slurm["group-components"]} == set(groups.values())
