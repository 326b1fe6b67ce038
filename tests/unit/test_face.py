"""The public face: instant, complete, told to editors by stubs, and helpful where a name is wrong."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import scorepath
from scorepath import _face, registry

PACKAGE = Path(scorepath.__file__).parent


def stubbed(stub: Path) -> dict[str, str]:
    """The names that a stub re-exports, and from where."""
    found: dict[str, str] = {}
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            assert all(alias.asname == alias.name for alias in node.names), "only `x as x` is exported by a stub"
            found |= {alias.name: node.module or "" for alias in node.names}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = ""
    return found


def test_the_import_is_torch_free_and_imports_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import scorepath; "
        "print(sorted(set(sys.modules) - before - {'scorepath'}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_every_public_name_is_found() -> None:
    for name in _face.names():
        assert getattr(scorepath, name) is not None
    assert set(_face.names()) == set(dir(scorepath))


def test_the_stub_lists_the_public_names() -> None:
    found = stubbed(PACKAGE / "__init__.pyi")
    assert set(found) == set(_face.names())
    for name, module in _face.WHERE.items():
        assert found[name] == f"scorepath.{module}"


@pytest.mark.parametrize("package", [registry.ENVIRONMENTS, registry.ESTIMATORS])
def test_the_stubs_list_every_class(package: str) -> None:
    found = stubbed(PACKAGE / package.rpartition(".")[2] / "__init__.pyi")
    expected = {_face.members(package)[name.lower()]: name for name in found}
    assert sorted(found) == _face.classes(package)
    assert {stem: f"{package}.{stem}" for stem in expected} == {stem: found[name] for stem, name in expected.items()}


@pytest.mark.parametrize("package", [registry.ENVIRONMENTS, registry.ESTIMATORS])
def test_a_class_is_called_like_its_file(package: str) -> None:
    """Or the face would not find it."""
    for stem in registry.names(package):
        name = registry.load(package, stem).__name__
        assert _face.member(package, name) is registry.load(package, stem)


def test_names_with_capitals_of_their_own() -> None:
    assert scorepath.environments.LQR().horizon == 20
    assert scorepath.environments.CartPole.__module__ == "scorepath.environments.cartpole"
    assert {scorepath.estimators.SPSA.__name__, scorepath.estimators.PGPE.__name__} == {"SPSA", "PGPE"}


@pytest.mark.parametrize(
    ("owner", "wrong", "right"),
    [
        (scorepath, "Simulater", "Simulator"),
        (scorepath.environments, "Cosin", "Cosine"),
        (scorepath.estimators, "Reinforced", "Reinforce"),
        (scorepath.estimators, "reinforce_", "Reinforce"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(owner: object, wrong: str, right: str) -> None:
    with pytest.raises(AttributeError, match=f"did you mean '{right}'"):
        getattr(owner, wrong)


def test_an_attribute_of_tools_is_merely_absent() -> None:
    assert not hasattr(scorepath, "__wrapped__")
    assert not hasattr(scorepath.environments, "__path_hook__")


def test_shared_helpers_are_no_families() -> None:
    assert not [name for name in registry.names(registry.ENVIRONMENTS) if name.startswith("_") or name == "base"]
    assert not hasattr(scorepath.environments, "Tabular")


def test_the_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert scorepath.__version__ == version("scorepath")
