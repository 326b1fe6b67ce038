"""A user's file and what lies beside it: what it imports is found in its text, the same wherever it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from scorepath import plugins, registry

ENVIRONMENT = """
from dataclasses import dataclass
from scorepath.environments.base import Environment
{imports}

@dataclass(frozen=True, kw_only=True)
class {name}(Environment):
    {body}
"""


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    for plugin in list(plugins._loaded.values()):
        plugins._forget(plugin)


def write(folder: Path, **files: str) -> Path:
    """Files in a folder; a name has `_in_` for each slash from right to left, and `.py` is left out."""
    for name, text in files.items():
        path = folder.joinpath(*reversed(name.split("_in_"))).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "mine.py"


def environment(imports: str = "", body: str = "pass", name: str = "Mine") -> str:
    return ENVIRONMENT.format(imports=imports, body=body, name=name)


def load(path: Path) -> ModuleType:
    return plugins.load(path)[0]


def refusal(path: Path) -> str:
    with pytest.raises(LookupError) as caught:
        registry.plugin_class(path)
    return str(caught.value.args[0])


# --- what is found ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("import near\nx = near.x", ["near.py"]),
        ("from near import x", ["near.py"]),
        ("def f():\n    from near import x\n    return x\nx = f()", ["near.py"]),
        ("try:\n    import absent_one\nexcept ImportError:\n    from near import x", ["near.py"]),
        ("import far\nx = far.x", ["far.py", "near.py"]),
        ("import box.inner\nx = box.inner.x", ["box/__init__.py", "box/inner.py", "near.py"]),
        ("from box import inner\nx = inner.x", ["box/__init__.py", "box/inner.py", "near.py"]),
        ("from box.inner import x", ["box/__init__.py", "box/inner.py", "near.py"]),
        ("from box import sibling\nx = sibling.x", ["box/__init__.py", "box/inner.py", "box/sibling.py", "near.py"]),
        ("from loose.part import x", ["loose/part.py"]),
        ("from importlib import import_module\nx = import_module('near').x", ["near.py"]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import near\nx = 1", []),
    ],
)
def test_what_a_plugin_imports_from_its_folder_belongs_to_it(text: str, files: list[str], tmp_path: Path) -> None:
    path = write(
        tmp_path,
        mine=text,
        near="x = 1",
        far="from near import x",
        __init___in_box="",
        inner_in_box="import near\nx = near.x",
        sibling_in_box="from .inner import x",
        part_in_loose="x = 1",
        unused="raise SystemExit",
    )
    assert sorted(plugins.read(path).sources) == sorted(["mine.py", *files])
    assert load(path).x == 1
    assert not list(tmp_path.rglob("__pycache__"))


def test_imports_in_functions_work_after_the_import(tmp_path: Path) -> None:
    path = write(tmp_path, mine="def late():\n    import near\n    return near.x", near="x = 1")
    assert load(path).late() == 1


def test_a_neighbour_is_imported_once(tmp_path: Path) -> None:
    path = write(tmp_path, mine="import near", second="import near", near="seen = []")
    assert load(path).near is load(tmp_path / "second.py").near


def test_the_text_of_now_counts_not_bytecode_of_the_same_second(tmp_path: Path) -> None:
    path = write(tmp_path, mine="from near import x", near="x = 1")
    (tmp_path / "__pycache__").mkdir()
    subprocess.run([sys.executable, "-c", "import near"], cwd=tmp_path, check=True)
    status = (tmp_path / "near.py").stat()
    write(tmp_path, near="x = 2")
    os.utime(tmp_path / "near.py", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert load(path).x == 2


def test_nothing_else_in_the_folder_can_be_imported(tmp_path: Path) -> None:
    """What the text does not show no digest would know of."""
    path = write(tmp_path, mine="import importlib\nname = 'near'\nimportlib.import_module(name)", near="")
    assert refusal(path) == f"{path} cannot be imported: line 3 of mine.py: ModuleNotFoundError: No module named 'near'"
    hidden = "import importlib, box\nname = 'box.inner'\nimportlib.import_module(name)"
    path = write(tmp_path, mine=hidden, __init___in_box="", inner_in_box="")
    assert "line 3 of mine.py: ImportError: box.inner must be imported by name" in refusal(path)


def test_a_plugin_that_another_imports_is_one_module(tmp_path: Path) -> None:
    write(tmp_path, mine=environment("from other import Other"), other=environment(name="Other"))
    for order in (["mine", "other"], ["other", "mine"]):
        module, other = (load(tmp_path / f"{name}.py") for name in sorted(order))
        assert module.Other is other.Other
        for plugin in list(plugins._loaded.values()):
            plugins._forget(plugin)


def test_a_neighbour_may_import_the_plugin(tmp_path: Path) -> None:
    path = write(tmp_path, mine="x = []\nimport near", near="from mine import x")
    module = load(path)
    assert module.near.x is module.x


# --- names ------------------------------------------------------------------------------------------------------------


def test_modules_of_one_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, mine="from near import x", near=f"x = {name!r}") for name in ("a", "b")]
    assert plugins.clash(*map(plugins.read, paths)) == "near"
    for path in (*paths, *paths):
        assert load(path).x == path.parent.name
    unused = write(tmp_path / "c", mine="", near="")
    assert plugins.clash(plugins.read(paths[0]), plugins.read(unused)) == ""


@pytest.mark.parametrize(("name", "other"), [("random", "a module of Python's own"), ("jinja2", "jinja2/__init__.py")])
def test_a_neighbour_with_the_name_of_another_module_is_refused(name: str, other: str, tmp_path: Path) -> None:
    path = write(tmp_path, mine=f"import {name}", **{name: ""})
    sentence = refusal(path)
    assert sentence.startswith(f"{path} imports {name}, but there are two: {name}.py beside it, and ")
    assert sentence.endswith(f"{other}; rename the former")
    write(tmp_path, mine="x = 1")
    assert load(path).x == 1  # it lies there, but is not meant


def test_a_plugin_may_be_called_like_the_library_it_wraps(tmp_path: Path) -> None:
    write(tmp_path, jinja2="import jinja2\nx = jinja2.Template")
    assert load(tmp_path / "jinja2.py").x.__module__ == "jinja2.environment"


@pytest.mark.parametrize("command", [["-m", "scorepath"], ["-c", "from scorepath.cli.main import main; main()"]])
def test_the_plugins_own_folder_counts_not_the_one_it_is_called_in(command: list[str], tmp_path: Path) -> None:
    write(tmp_path / "mine", mine=environment("import near\nassert near.x == 1"), near="x = 1")
    write(
        tmp_path, near="x = 2", yaml="raise SystemExit('the wrong yaml')", torch="raise SystemExit('the wrong torch')"
    )
    if command[0] == "-c":
        command = ["-P", *command]
    ran = subprocess.run(
        [sys.executable, *command, "check", "mine/mine.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "  with   near.py" in ran.stdout, ran.stderr
    assert "wrong with mine/mine.py" in ran.stderr  # it has no dynamics


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_a_broken_neighbour_is_named_and_may_be_mended(tmp_path: Path) -> None:
    path = write(tmp_path, mine="import near", near="def (:")
    assert refusal(path) == f"{path} cannot be imported: line 1 of near.py: invalid syntax"
    write(tmp_path, near="x = 1\nx.y")
    assert "line 2 of near.py: AttributeError: " in refusal(path)
    write(tmp_path, near="x = 1")
    assert load(path).near.x == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("data_files = ('table.csv',)", ""),
        ("data_files: tuple = ('table.csv', 'deep/a.xml')", ""),
        ("data_files = ('deep',)", ""),
        ("data_files = ('gone.csv',)", "declares the data file gone.csv, but there is no file {folder}/gone.csv"),
        ("data_files = ('../table.csv',)", "must lie in the plugin's folder or below"),
        ("data_files = ('/etc/hosts',)", "must lie in the plugin's folder or below"),
        ("data_files = ('.',)", "must lie in the plugin's folder or below"),
        ("data_files = tuple(['table' + '.csv'])", 'write the names out, as in data_files = ("table.csv",)'),
        ("data_files = 'table.csv'", "data_files must be a tuple of file names, got 'table.csv'"),
        ("data_files = (1,)", "data_files must be a tuple of file names, got (1,)"),
    ],
)
@pytest.mark.parametrize("of_class", [True, False])
def test_declared_data(of_class: bool, text: str, sentence: str, tmp_path: Path) -> None:
    path = write(tmp_path, mine=environment(body=text) if of_class else text)
    (tmp_path / "deep").mkdir()
    for name in ("table.csv", "deep/a.xml", "deep/b.xml", "other.csv"):
        (tmp_path / name).touch()
    if sentence:
        assert sentence.format(folder=tmp_path) in refusal(path)
    else:
        found = registry.plugin_class(path)
        assert (found is not None) == of_class
        whole = {"deep": ["deep/a.xml", "deep/b.xml"]}
        named = [name for name in ("table.csv", "deep/a.xml", "deep") if f"'{name}'" in text]
        assert sorted(plugins.read(path).data) == sorted(f for name in named for f in whole.get(name, [name]))


def test_a_base_class_beside_the_plugin_may_declare_its_data(tmp_path: Path) -> None:
    base = environment(body="data_files = ('table.csv',)", name="Base")
    own = "from base_class import Base\n@dataclass(frozen=True)\nclass Mine(Base): pass"
    path = write(tmp_path, mine=f"from dataclasses import dataclass\n{own}", base_class=base)
    (tmp_path / "table.csv").touch()
    assert registry.load_plugin(path)[1].__name__ == "Mine"
    assert list(plugins.read(path).data) == ["table.csv"]


def test_a_plugin_is_of_the_family_that_it_extends(tmp_path: Path) -> None:
    head = "from dataclasses import dataclass\nfrom scorepath.environments.pendulum import Pendulum as Base"
    path = write(
        tmp_path, mine=f"{head}\n@dataclass(frozen=True, kw_only=True)\nclass Mine(Base):\n    drag: float = 2.0"
    )
    assert registry.family_of("mine", str(path)) == registry.family_of("pendulum") == "pendulum"
    other = write(tmp_path / "other", mine=environment())
    assert registry.family_of("own", str(other)) == "own"


# --- what a file defines ----------------------------------------------------------------------------------------------


def test_a_file_without_a_class_is_a_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scorepath.cli.commands import run_here

    path = write(tmp_path, mine="from dataclasses import dataclass\n@dataclass\nclass Settings:\n    x: int = 1")
    assert registry.plugin_class(path) is None
    assert run_here(["check", str(path)]) == 0
    assert "It defines no environment and no estimator" in capsys.readouterr().out


def test_a_file_with_two_classes_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, mine=environment() + environment(name="Another"))
    assert refusal(path) == f"{path} must define exactly one public dataclass, found Another, Mine"
