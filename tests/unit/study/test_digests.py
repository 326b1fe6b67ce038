"""Digests: an edit of any source that a result is made of changes that result's digest, and no other's."""

from __future__ import annotations

from pathlib import Path

import pytest

from scorepath.stages.plan import make_plan
from scorepath.store.paths import PACKAGE
from scorepath.study import digests
from scorepath.study.cells import Plan
from scorepath.study.jobs import RULES

RULES_WITH_DIGESTS = sorted(set(RULES) - {"plan"})


@pytest.fixture(scope="module")
def config() -> dict[str, object]:
    return {
        "noise_levels": [0.1],
        "environments": ["cosine", "lqr"],
        "estimators": ["reinforce", "pathwise"],
        "training": {"environments": ["cosine"], "noise_levels": [0.1]},
        "claims": ["wrong_sign"],
        "sweeps": [{"name": "ramps", "family": "soft_step", "axes": {"sigma": [0.1, 0.2], "width": [0.1, 0.2]}}],
    }


def all_digests(plan: Plan) -> dict[str, str]:
    """Every job's digest by rule, environment and estimator."""
    found = dict(plan.digests)
    for cell in plan.cells:
        rule = "gradients" if cell.stage == "gradients" else "train"
        found[f"{rule}/{cell.environment}/{cell.estimator}"] = cell.digest
    return found


def edited(monkeypatch: pytest.MonkeyPatch, config: dict[str, object], *files: str) -> set[str]:
    """The jobs whose digests change when these files of the package are edited."""
    before = all_digests(make_plan(config))
    real = digests._file_digest
    paths = {PACKAGE / name for name in files}
    assert all(path.is_file() for path in paths)

    def as_if_edited(path: Path) -> str:
        return "edited" if path in paths else real(path)

    monkeypatch.setattr(digests, "_file_digest", as_if_edited)
    digests._source_digests.cache_clear()
    try:
        after = all_digests(make_plan(config))
    finally:
        monkeypatch.undo()
        digests._source_digests.cache_clear()
    return {name for name, digest in after.items() if digest != before[name]}


@pytest.mark.parametrize("rule", RULES_WITH_DIGESTS)
def test_a_rules_results_depend_on_its_own_module(
    rule: str, monkeypatch: pytest.MonkeyPatch, config: dict[str, object]
) -> None:
    """What writes a result is where its digest starts: for reference policies it once started elsewhere."""
    changed = {name.partition("/")[0] for name in edited(monkeypatch, config, f"stages/{rule}.py")}
    assert rule in changed
    assert changed == {rule}, "stages import no other rule's module"


def test_reference_policies_depend_on_what_writes_their_file(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, object]
) -> None:
    changed = edited(monkeypatch, config, "stages/_references.py")
    assert {"reference_policies/cosine", "reference_policies/lqr"} <= changed
    assert "train/cosine/pathwise" not in changed


def test_an_environment_reruns_its_own_jobs(monkeypatch: pytest.MonkeyPatch, config: dict[str, object]) -> None:
    changed = edited(monkeypatch, config, "environments/cosine.py")
    # the claims say of every environment what its knobs are
    assert {name for name in changed if "/" not in name} <= {"claims", "exact_curves", "questions"}
    assert {name.split("/")[1] for name in changed if "/" in name} == {"cosine"}


def test_an_estimator_reruns_its_own_cells_and_the_timings(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, object]
) -> None:
    changed = edited(monkeypatch, config, "estimators/pathwise.py")
    cells = {f"gradients/{name}/pathwise" for name in ("cosine", "lqr")} | {"train/cosine/pathwise"}
    swept = {name for name in changed if name.startswith("sweep")}
    assert len(swept) == 5, "the sweep and its four points"
    own = {f"{rule}/{name}" for rule in ("costs", "probes") for name in ("cosine", "lqr")}
    assert changed - swept == cells | own | {"questions"}


def test_references_depend_on_no_estimator(monkeypatch: pytest.MonkeyPatch, config: dict[str, object]) -> None:
    changed = edited(monkeypatch, config, "estimators/base.py")
    assert not {name for name in changed if name.startswith(("reference", "exact_curves"))}
    assert {"gradients/cosine/pathwise", "gradients/lqr/reinforce", "costs/cosine"} <= changed


def test_the_public_face_reruns_nothing(monkeypatch: pytest.MonkeyPatch, config: dict[str, object]) -> None:
    """A new public name, environment or estimator is no reason to compute anything again."""
    stubs = ("__init__.pyi", "environments/__init__.pyi", "estimators/__init__.pyi")
    assert not edited(monkeypatch, config, "_face.py", "inquiry.py", *stubs)


def test_figures_depend_on_every_module_of_theirs_and_on_the_names_of_methods(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, object]
) -> None:
    assert edited(monkeypatch, config, "figures/bias.py") >= {"figure"}
    assert edited(monkeypatch, config, "reporting/templates/report.css") == {"report"}
    before = make_plan(config).digests
    after = make_plan(config | {"estimators": ["reinforce", {"name": "bptt", "method": "pathwise"}]}).digests
    for rule in ("figure", "report", "claims", "tables"):
        assert before[rule] != after[rule]


def test_a_point_more_runs_that_point(config: dict[str, object]) -> None:
    before = all_digests(make_plan(config))
    sweep = {"name": "ramps", "family": "soft_step", "axes": {"sigma": [0.1, 0.2, 0.3], "width": [0.1, 0.2]}}
    after = all_digests(make_plan({**config, "sweeps": [sweep]}))
    new = {f"sweep_point/ramps/sigma=0.3,width={width}" for width in ("0.1", "0.2")}
    assert {name for name in after if after[name] != before.get(name)} == new | {"sweep/ramps"}


def test_a_sweep_depends_on_the_level_of_reference_policies_if_it_climbs_to_them(config: dict[str, object]) -> None:
    climbing = {"name": "climb", "family": "ripple", "axes": {"checkpoint": [0, 0.5]}}
    study = {**config, "sweeps": [climbing]}
    before = all_digests(make_plan(study))
    after = all_digests(make_plan({**study, "references": {"noise_level": 0.2}}))
    changed = {name for name in after if after[name] != before[name] and name.startswith("sweep")}
    assert changed == {"sweep/climb", "sweep_point/climb/checkpoint=0", "sweep_point/climb/checkpoint=0.5"}


@pytest.mark.parametrize("where", ["fixed", "averaged over"])
def test_a_model_that_a_sweep_names_counts(where: str, tmp_path: Path) -> None:
    """For its points, and for whether the plan is made anew."""
    pytest.importorskip("mujoco")
    from scorepath.environments._mujoco import asset

    model = tmp_path / "pole.xml"
    text = asset("inverted_pendulum.xml").read_text()
    model.write_text(text)
    named = {"model": str(model)} if where == "fixed" else {"over": {"model": [str(model)]}}
    sweep = {"name": "poles", "family": "mujoco", "axes": {"horizon": [1, 2]}, **named}
    config = {"noise_levels": [0.1], "environments": ["cosine"], "estimators": ["pathwise"], "sweeps": [sweep]}
    before, key = all_digests(make_plan(config)), digests.plan_key(config)
    model.write_text(text.replace("</mujoco>", "<!-- edited --></mujoco>"))
    digests._file_digest.cache_clear()
    after = all_digests(make_plan(config))
    changed = {name for name in after if after[name] != before[name]}
    assert {"sweep/poles", "sweep_point/poles/horizon=1", "sweep_point/poles/horizon=2"} <= changed
    assert "gradients/cosine/pathwise" not in changed
    assert digests.plan_key(config) != key


def test_a_claim_reruns_alone(monkeypatch: pytest.MonkeyPatch, config: dict[str, object]) -> None:
    assert edited(monkeypatch, config, "claims/wrong_sign.py") == {"claim/wrong_sign"}


def test_an_environments_samples_rerun_what_is_sampled(config: dict[str, object]) -> None:
    def planned(samples: dict[str, int]) -> dict[str, str]:
        return all_digests(make_plan(config | {"environments": ["cosine", {"name": "lqr", "samples": samples}]}))

    before = planned({})
    told = {"mechanisms", "claims", "advisor"}  # what these are told is what the configuration says
    for samples, rules in (
        ({"references": 5000}, {"reference/lqr"}),
        (
            {"gradients": 1024},
            {
                "reference/lqr",
                "signals/lqr",
                "probes/lqr",
                "costs/lqr",
                "gradients/lqr/reinforce",
                "gradients/lqr/pathwise",
            },
        ),
    ):
        after = planned(samples)
        assert {name for name in before if before[name] != after[name]} - told == rules


def test_an_environments_own_levels_and_estimators_rerun_what_is_new(config: dict[str, object]) -> None:
    """What was measured stays: an environment is the same whatever is measured there."""

    def planned(**own: object) -> dict[str, str]:
        levels = {"noise_levels": [0.1, 0.3], "environments": ["cosine", {"name": "lqr", **own}]}
        plan = make_plan(config | levels)
        return dict(plan.digests) | {
            f"{cell.stage}/{cell.environment}/{cell.estimator}/{cell.sigma:g}": cell.digest for cell in plan.cells
        }

    one, two = planned(noise_levels=[0.1]), planned()
    assert {name for name in two if name not in one} == {"gradients/lqr/reinforce/0.3", "gradients/lqr/pathwise/0.3"}
    gathers = {"tables", "cost_tables", "mechanisms", "claims", "advisor"}
    assert {name for name in one if one[name] != two[name]} - gathers == {"signals/lqr", "probes/lqr", "landscapes/lqr"}
    few = planned(estimators=["pathwise"])
    assert {name for name in two if name not in few} == {"gradients/lqr/reinforce/0.1", "gradients/lqr/reinforce/0.3"}
    assert {name for name in few if few[name] != two[name]} - gathers == {"costs/lqr"}
