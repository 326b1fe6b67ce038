"""The rules of the house that no linter can hold: docs/architecture.md says them in words."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from scorepath.store.paths import PLAN, REPORTS, RESULTS
from scorepath.store.tables import COLUMNS
from scorepath.study.jobs import RULE_OF_TABLE, RULES, Rule

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "scorepath"
MOST_LINES = 400
LIBRARY = (
    "adjoint", "conformance", "environments", "estimators", "expansion", "inquiry", "judge", "measurement", "noise",
    "policies", "pullback", "questions", "references", "rollout", "signals", "statistics", "summaries", "training",
    "verdicts",
)  # fmt: skip
"""The library half, but for `plugins`, which reads users' files, and `memory`, which reads the system's figures."""
OPENS = {
    "open",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "mkdir",
    "unlink",
    "touch",
    "to_csv",
    "read_csv",
}
STORED = re.compile(rf"({RESULTS}|{REPORTS})/")
MODULE = re.compile(r"scorepath(\.[A-Za-z_]\w*)+")
MADE_UP = {"scorepath.nowhere"}
"""Names of modules that tests want not to exist."""
OF_THE_REPOSITORY = {
    "catalogue", "docs", "doctests", "efficiency", "equivariance", "face", "house", "packaging",
    "readme", "regression", "security",
}  # fmt: skip
"""Test modules at the top of tests/unit that belong to no module of the package."""


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if ".venv" not in path.parts)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def code_strings(path: Path) -> Iterator[tuple[int, str]]:
    """The string constants of a file that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value


# --- one module per rule, one table ----------------------------------------------------------------------------------


def test_stages_holds_one_module_for_each_rule_and_nothing_else() -> None:
    modules = {path.stem for path in (SOURCES / "stages").glob("*.py") if not path.stem.startswith("_")}
    assert modules == set(RULES)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_a_stage_has_its_rules_function(rule: Rule) -> None:
    function = getattr(import_module(f"scorepath.stages.{rule.name}"), rule.name)
    parameters = list(inspect.signature(function).parameters)
    assert parameters == (["raw", "files"] if rule.name == "plan" else ["plan", *rule.wildcards])
    assert (inspect.getdoc(function) or "").partition("\n")[0] == rule.summary


def test_snakemakes_rules_are_those_of_the_table_and_read_it() -> None:
    texts = [path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk")]
    rules = {name: body for text in texts for name, body in re.findall(r"(?ms)^rule (\w+):\n(.*?)(?=^rule |\Z)", text)}
    assert set(rules) == set(RULES) - {"plan"}
    for name, body in rules.items():
        for part in ("results", "log", "shell"):
            assert f'RULES["{name}"].{part}' in body, (name, part)
        assert f"digest={'cell' if name in ('gradients', 'train') else ''}" in body
        if RULES[name].reads and name != "tables":
            assert f'RULES["{name}"].reads' in body, name


def test_every_table_is_written_by_a_rule() -> None:
    assert set(RULE_OF_TABLE) == set(COLUMNS)


def test_the_snakefiles_head_shows_where_every_result_lies() -> None:
    head = (ROOT / "Snakefile").read_text().partition("\n\n")[0]
    shown = set(re.findall(r"#\s+(\S+/\S+)", head))
    stored = {str(PLAN)} | {result for rule in RULES.values() for result in rule.results}
    tables = {f"{RESULTS}/tables/{{table}}.csv"}
    assert shown == {result for result in stored if not result.startswith(f"{RESULTS}/tables/")} | tables


# --- where lines may stand -------------------------------------------------------------------------------------------


def test_no_module_is_too_long() -> None:
    files = python_files("src", "tests", "benchmarks")
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert not {name: lines for name, lines in lengths.items() if lines > MOST_LINES}


def test_paths_of_results_stand_in_the_store_alone() -> None:
    for path in python_files("src"):
        if not path.is_relative_to(SOURCES / "store"):
            for line, text in code_strings(path):
                assert not STORED.search(text), f"{path.relative_to(ROOT)}:{line}: {text}"
                assert text not in (str(RESULTS), str(REPORTS)), f"{path.relative_to(ROOT)}:{line}"


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_half_opens_no_file(name: str) -> None:
    place = SOURCES / name
    for path in sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                assert called not in OPENS, f"{path.name}:{node.lineno} calls {called}"


def test_module_names_in_strings_exist() -> None:
    """Imports that move are mended by tools; names in strings are not."""
    for path in python_files("src", "tests", "benchmarks"):
        for line, text in code_strings(path):
            for found in MODULE.finditer(text):
                if found[0] in MADE_UP:
                    continue
                assert _exists(found[0]), f"{path.relative_to(ROOT)}:{line}: {found[0]}"


def _exists(name: str) -> bool:
    """Whether it names a module or something in one; what is made up in tests stands in quotes of its own."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        place = SOURCES.parent.joinpath(*parts[:end])
        if place.with_suffix(".py").is_file() or (place / "__init__.py").is_file():
            rest = parts[end:]
            if not rest:
                return True
            return len(rest) <= 2 and hasattr(import_module(".".join(parts[:end])), rest[0])
    return False


def test_a_face_imports_nothing_at_its_head() -> None:
    """Every `__init__.py` on the way is part of every digest: an eager one would make all cells depend on all files."""
    for path in (SOURCES / "__init__.py", SOURCES / "environments/__init__.py", SOURCES / "estimators/__init__.py"):
        for node in ast.parse(path.read_text()).body:
            assert not isinstance(node, ast.Import | ast.ImportFrom), path


def test_the_snakefile_imports_no_torch() -> None:
    common = (ROOT / "workflow" / "rules" / "common.smk").read_text()
    imports = "\n".join(re.findall(r"(?m)^from scorepath[^\n(]*(?:\([^)]*\))?$", common))
    assert imports.count("import") > 8
    code = f"{imports}\nimport sys; assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- tests mirror sources --------------------------------------------------------------------------------------------


def test_unit_tests_mirror_the_sources() -> None:
    packages = {path.parent.name for path in SOURCES.glob("*/__init__.py")}
    folders = {path.name for path in (ROOT / "tests" / "unit").iterdir() if path.is_dir() and path.name[0] not in "_."}
    assert folders <= packages, folders - packages
    modules = {path.stem.lstrip("_") for path in SOURCES.glob("*.py")}
    top = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "unit").glob("test_*.py")}
    assert top <= modules | OF_THE_REPOSITORY, top - modules - OF_THE_REPOSITORY
