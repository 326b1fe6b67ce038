"""What of users' files a job depends on: all that its own plugins consist of, and nothing of the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scorepath import plugins
from scorepath.stages.plan import make_plan
from scorepath.study import digests
from scorepath.study.cells import Plan
from scorepath.study.digests import plan_key
from scorepath.study.wording import ConfigError

ENVIRONMENT = """
from dataclasses import dataclass
from scorepath.environments.quadratic import Quadratic
{imports}

@dataclass(frozen=True, kw_only=True)
class {name}(Quadratic):
    data_files = ({data})
"""
FILES = {
    "one/first.py": ENVIRONMENT.format(imports="from moves import move", name="First", data='"table.csv",'),
    "one/moves.py": "def move():\n    from inner.deep import x\n    return x",
    "one/inner/__init__.py": "",
    "one/inner/deep.py": "from scorepath.environments.cosine import Cosine\nx = 1",
    "one/table.csv": "1,2",
    "two/second.py": ENVIRONMENT.format(imports="", name="Second", data=""),
    "two/registers.py": "import registers_more",
    "two/registers_more.py": "",
}
CONFIG: dict[str, Any] = {
    "plugins": ["one/first.py", "two/second.py"],
    "noise_levels": [0.1],
    "environments": ["first", "second", "quadratic"],
    "estimators": ["reinforce", "pathwise"],
}


@pytest.fixture(autouse=True)
def _study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    yield
    forget()


def forget() -> None:
    """As another process would see it."""
    for plugin in list(plugins._loaded.values()):
        plugins._forget(plugin)
    for cached in (digests._imports, digests._plugin, digests._file_digest, digests._source_digests):
        cached.cache_clear()


def planned(**changes: Any) -> Plan:
    forget()
    return make_plan({**CONFIG, **changes})


def changed(before: Plan, after: Plan) -> set[str]:
    """The jobs whose digests differ: `rule/environment`, cells by their stage."""
    assert (before.key == after.key) == (before == after)
    cells = {
        f"{old.stage}/{old.environment}"
        for old, new in zip(before.cells, after.cells, strict=True)
        if old.digest != new.digest
    }
    jobs = {name for name in before.digests if not name.startswith("plugins/")}
    return cells | {name for name in jobs if after.digests[name] != before.digests[name]}


def jobs_of(*environments: str) -> set[str]:
    """The jobs that compute something of these environments, and those that read all of them."""
    rules = (
        "reference_policies",
        "reference",
        "costs",
        "exact_curves",
        "signals",
        "probes",
        "landscapes",
        "gradients",
        "training",
    )
    return {f"{rule}/{name}" for rule in rules for name in environments} | {"claims", "crate"}


@pytest.mark.parametrize("name", ["first.py", "moves.py", "inner/__init__.py", "inner/deep.py", "table.csv"])
def test_each_file_of_a_plugin_counts_for_the_jobs_that_use_it(name: str) -> None:
    before = planned()
    with Path("one", name).open("a") as file:
        file.write("\n")
    assert changed(before, planned()) == jobs_of("first")


def test_other_files_beside_a_plugin_do_not_count() -> None:
    before = planned()
    Path("one/notes.py").write_text("x = 1")
    Path("one/other.csv").write_text("")
    assert changed(before, planned()) == set()


def test_a_file_that_comes_to_be_imported_counts() -> None:
    before = planned()
    Path("one/moves").mkdir()
    Path("one/moves/__init__.py").write_text("def move(): pass")  # takes the place of moves.py
    assert changed(before, planned()) == jobs_of("first")


def test_where_the_files_lie_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = planned()
    for name in FILES:
        path = Path("moved", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Path(name).rename(path)
    monkeypatch.chdir("moved")
    assert changed(before, planned()) == set()


def test_what_a_neighbour_imports_of_scorepath_counts() -> None:
    names = {path.name for path in digests.source_files(Path("one/first.py"))}
    assert {"first.py", "deep.py", "table.csv", "quadratic.py", "cosine.py", "base.py"} <= names


def test_the_plans_key_changes_with_every_file_and_stays_without() -> None:
    keys = {plan_key(CONFIG)}
    for name in ("one/inner/deep.py", "one/table.csv", "two/second.py"):
        with Path(name).open("a") as file:
            file.write("\n")
        forget()
        keys.add(plan_key(CONFIG))
    forget()
    assert len(keys) == 4
    assert plan_key(CONFIG) in keys


@pytest.mark.parametrize("text", ["def (:", "\0", "import moves", "from . import first", f"from {'.' * 99} import x"])
def test_the_plans_key_needs_no_sound_files(text: str) -> None:
    """Planning says what is wrong, in a sentence."""
    Path("one/moves.py").write_text(text)
    assert plan_key(CONFIG)
    Path("one/table.csv").unlink()
    assert plan_key(CONFIG)


# --- plugins without a class ------------------------------------------------------------------------------------------


def test_a_module_plugin_counts_for_all_jobs_that_make_instances() -> None:
    listed = [*CONFIG["plugins"], "two/registers.py"]
    before = planned(plugins=listed)
    assert before.study.plugins == tuple(listed)
    assert before.study.module_plugins == ("two/registers.py",)
    assert changed(planned(), before) == jobs_of("first", "second", "quadratic")
    Path("two/registers_more.py").write_text("x = 1")
    assert changed(before, planned(plugins=listed)) == jobs_of("first", "second", "quadratic")


def test_an_unused_plugin_counts_for_the_crate_alone() -> None:
    few = {"environments": ["quadratic"]}
    assert changed(planned(**few, plugins=["one/first.py"]), planned(**few)) == {"crate"}


def test_an_environment_that_is_looked_up_depends_on_all_plugins() -> None:
    """Whichever of them registers the id."""
    environments = ["first", {"name": "swing", "family": "gymnasium", "id": "Pendulum-v1", "horizon": 2}]
    before = planned(environments=environments)
    Path("two/second.py").write_text(FILES["two/second.py"] + "\n")
    assert changed(before, planned(environments=environments)) == jobs_of("swing")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (
            "two/registers.py",
            "x = 1",
            "plugins[2]: two/registers.py must define exactly one public dataclass, found none",
        ),
        (
            "one/table.csv",
            None,
            "plugins[0]: one/first.py declares the data file table.csv, but there is no file one/tab",
        ),
        (
            "two/second.py",
            FILES["two/second.py"] + "import moves",
            "plugins[1]: two/second.py and one/first.py both import moves, each from its own folder; rename one of",
        ),
    ],
)
def test_mistakes_are_one_sentence_at_planning(name: str, text: str | None, sentence: str) -> None:
    Path("two/moves.py").write_text("")
    if text is None:
        Path(name).unlink()
    else:
        Path(name).write_text(text)
    environments = [*CONFIG["environments"], "registers"] if name == "two/registers.py" else CONFIG["environments"]
    changes = {"plugins": [*CONFIG["plugins"], "two/registers.py"], "environments": environments}
    with pytest.raises(ConfigError) as caught:
        planned(**changes)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("edited", ["one/first.py", "one/inner/deep.py", "one/table.csv"])
def test_a_job_refuses_a_plugin_that_was_edited_since_its_plan(edited: str) -> None:
    """Or its result would be of the new model, under the digest of the old one."""
    plan = planned()
    forget()
    digests.require_planned_plugins(plan)
    with Path(edited).open("a") as file:
        file.write("\n# edited\n")
    digests.require_planned_plugins(plan)  # what this process has imported is what was planned
    forget()
    with pytest.raises(ValueError, match=r"one/first\.py, or what it imports .* the same command again"):
        digests.require_planned_plugins(plan)
