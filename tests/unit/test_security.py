"""Nothing dangerous: a study's files are data, and what they say reaches no interpreter, shell or page as code."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from tests.helpers.places import ROOT
from tests.helpers.small_tables import write_tables

from scorepath.figures import FIGURES
from scorepath.reporting.bibliography import WORKS
from scorepath.reporting.page import render_report
from scorepath.stages.plan import make_plan
from scorepath.store.tables import Tables
from scorepath.study.cells import Cell, Plan
from scorepath.study.jobs import RULES as TABLE
from scorepath.study.wording import ConfigError

PACKAGE = ROOT / "src/scorepath"
SOURCES = sorted((ROOT / "src").rglob("*.py"))
RULES = [ROOT / "Snakefile", *sorted((ROOT / "workflow").rglob("*.smk"))]

# --- the code ---------------------------------------------------------------------------------------------------------
FORBIDDEN = {
    *("eval", "exec", "compile", "__import__", "input", "globals"),
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("torch.load", "torch.save", "torch.jit.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all"),
    *("pd.read_pickle", "np.fromfile", "importlib.import_module", "import_module", "runpy.run_path"),
    *("runpy.run_module",),
}
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code", "ctypes"}
ALLOWED = {
    ("registry.py", "importlib.import_module"): "modules of this package, by a name that its folder lists",
    ("_face.py", "import_module"): "likewise",
    ("__init__.py", "import_module"): "this package's own face, by its name",
    ("environments/__init__.py", "import_module"): "likewise",
    ("estimators/__init__.py", "import_module"): "likewise",
    ("figures/__init__.py", "import_module"): "figures, by names that stand there",
    ("stages/claim.py", "import_module"): "claims, by a name that their folder lists",
    ("cli/commands.py", "import_module"): "stages, by the names of the table of rules",
    ("cli/worker.py", "importlib.import_module"): "libraries, by names that stand there",
    ("cli/run.py", "runpy.run_module"): "Snakemake, by its name",
    ("stages/_instances.py", "torch.load"): "weights of users' modules, as weights alone",
    ("memory.py", "ctypes"): "functions of the C library that the process has, called with constants",
    ("kernels/rows.py", "ctypes"): "loops that LLVM compiled here, from a folder that is this user's alone",
}


def rule_code(path: Path) -> ast.Module:
    """The Python in a file of rules: its functions and the lines before the first rule."""
    parts = re.split(r"(?m)^(?=[A-Za-z@#])", path.read_text(encoding="utf-8"))
    python = re.compile(r"(import|from|def|@|[A-Za-z_]+ =|[a-z_]+\()")
    return ast.parse("".join(part for part in parts if python.match(part)))


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call by what is called, as it is written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("path", [*SOURCES, *RULES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_code_is_made_of_data(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.suffix == ".py" else rule_code(path)
    place = path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else ""
    for name, call in calls(tree):
        assert name not in FORBIDDEN or (place, name) in ALLOWED, f"{name} in line {call.lineno}"
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert keywords.get("shell", "False") == "False", f"a shell in line {call.lineno}"
        if name.endswith("np.load"):
            assert keywords.get("allow_pickle") == "False", f"line {call.lineno}"
        if name == "torch.load":
            assert keywords.get("weights_only") == "True", f"line {call.lineno}"
        if name == "yaml.load":
            assert keywords.get("Loader") == "_Loader", f"line {call.lineno}"  # extends SafeLoader
        if name.startswith("ctypes.") and place != "kernels/rows.py":
            assert ast.unparse(call) == "ctypes.CDLL(None)", f"line {call.lineno}"  # loads nothing
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for name in MODULES & {name.partition(".")[0] for name in names}:
                assert (place, name) in ALLOWED, f"{name} in line {node.lineno}"


def test_the_check_of_the_code_can_fail() -> None:
    tree = ast.parse("import subprocess\nsubprocess.run('x', shell=True)\nos.system('x')\ntorch.load('x')")
    assert {"os.system", "torch.load"} <= {name for name, _ in calls(tree)} & FORBIDDEN
    assert all(any(True for _ in calls(rule_code(path))) for path in RULES if path.name == "common.smk")


def test_shell_commands_hold_names_only() -> None:
    """What a rule puts in a shell command is a wildcard, whose values are checked names, its digest or its log."""
    for path in RULES:
        for command in re.findall(r"shell:\s*(.*)", path.read_text(encoding="utf-8")):
            assert re.fullmatch(r'RULES\["\w+"\]\.shell', command), f"{path}: {command}"
    fields = [field for rule in TABLE.values() for field in re.findall(r"(?<!\{)\{([^{}]+)\}", rule.shell)]
    assert len(fields) > len(TABLE)
    for field in fields:
        wildcard = r"wildcards\.(environment|estimator|sigma|sweep|point|claim|figure)"
        assert re.fullmatch(rf"{wildcard}|params\.digest|log", field), field


# --- names ------------------------------------------------------------------------------------------------------------
HOSTILE = [
    *("a b", "it's", 'say "x"', "$(touch sprung)", "`touch sprung`", "a;b", "a|b", "a&b", "a>b", "a\nb"),
    *("a\tb", "a\0b"),
    *("../up", "a/b", "/etc", "a\\b", ".", "..", ".hidden", "-rf", "--help", "a.", "", "a" * 101, "~", "*", "?", "{x}"),
    *("\u0441hain", "ch\u0430in", "naïve", "\u202eabc", "a\u200bb", "1", "1e5", "NA", "nan", "null", "true"),
    *("CON", "con", "nul.csv", "COM1", "lpt9.txt", "a=b", "a:b", "a%b", "<b>", "#x", "!x", "a,b"),
]
GOOD = {"noise_levels": [0.1], "environments": ["quadratic"], "estimators": ["reinforce", "pathwise"]}


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
@pytest.mark.parametrize(
    ("section", "kind", "of"), [("environments", "family", "quadratic"), ("estimators", "method", "pathwise")]
)
def test_hostile_names_are_refused(section: str, kind: str, of: str, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_plan({**GOOD, section: ["quadratic" if kind == "family" else "reinforce", {"name": name, kind: of}]})
    assert str(caught.value).startswith(f"{section}[1].name is ")


def test_names_that_differ_in_capitals_only_are_refused() -> None:
    """They would be one folder on file systems that ignore capitals."""
    pair = [{"name": "Hill", "family": "quadratic"}, {"name": "hill", "family": "quadratic"}]
    with pytest.raises(ConfigError, match=r"environments\[1\].name is 'hill'.* capitals"):
        make_plan({**GOOD, "environments": pair})


@pytest.mark.parametrize("sigma", ["0.1;id", "$(id)", "1 2", "../1", "-1", "1e999", "nan"])
def test_noise_levels_are_numbers(sigma: str) -> None:
    with pytest.raises(ConfigError, match=r"noise_levels\[0\]"):
        make_plan({**GOOD, "noise_levels": [sigma]})


# --- imports ----------------------------------------------------------------------------------------------------------
PLUGIN = (ROOT / "src/scorepath/environments/quadratic.py").read_text(encoding="utf-8")
SPRUNG = "import pathlib\npathlib.Path('sprung').touch()\n"


@pytest.mark.parametrize("given", ["module:Thing-v0", "os:Thing-v0", "mine:Pendulum-v1"])
def test_gymnasium_imports_no_module(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.py").write_text(SPRUNG)
    with pytest.raises(ConfigError, match=r"environments\[0\] \(it\): id .* would import a module.*plugins"):
        make_plan({**GOOD, "environments": [{"name": "it", "family": "gymnasium", "id": given}]})
    assert not (tmp_path / "sprung").exists()


def test_only_listed_plugins_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trap.py").write_text(SPRUNG)
    for family in ("trap", "trap.py", "./trap", "../trap", "os", "scorepath.cli", "base", "__init__"):
        with pytest.raises(ConfigError, match="there is no environment family"):
            make_plan({**GOOD, "environments": [{"name": "it", "family": family}]})
    assert not (tmp_path / "sprung").exists()
    make_plan({**GOOD, "plugins": ["trap.py"]})  # no class in it, but it was listed
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("folder", ['it\'s a "folder" $(id)', "-x", "..", "ünï"])
def test_a_plugin_may_lie_anywhere(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its author names it; the path is opened and never handed to a shell."""
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    Path(folder).mkdir(exist_ok=True)
    path = Path(folder, f"hill_{len(folder)}.py")
    path.write_text(PLUGIN)
    for plugin in (path, path.resolve()):
        plan = make_plan({**GOOD, "plugins": [str(plugin)], "environments": [path.stem]})
        assert plan.study.environments[path.stem].plugin == str(plugin)


BAD_PLUGINS = {
    "missing.py": "no file",
    "a b.py": "plain identifier",
    "$(id).py": "plain identifier",
    "\u0441hain.py": "plain identifier",
    "hill.txt": "plain identifier",
    "folder.py": "no file",
    "a\0b.py": "plain identifier",
    "x" * 300 + ".py": "no file",
    "pipe.py": "no file",
    "leaves.py": "SystemExit",
    "broken.py": "line 1",
}


@pytest.mark.parametrize("name", BAD_PLUGINS, ids=lambda name: ascii(name[:20]))
def test_a_plugin_that_is_no_python_file_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.py").mkdir()
    os.mkfifo("pipe.py")
    Path("leaves.py").write_text("import sys\nsys.exit(0)\n")
    Path("broken.py").write_text("def f(:\n")
    with pytest.raises(ConfigError, match=re.escape(BAD_PLUGINS[name])) as caught:
        make_plan({**GOOD, "plugins": [name]})
    assert str(caught.value).startswith("plugins[0]: ")
    assert str(caught.value).isprintable()


# --- the report -------------------------------------------------------------------------------------------------------
MARK = "zqx"
TEXTS = [
    f"<script>{MARK}()</script>",
    f'"><img src=x onerror={MARK}()>',
    f"'><svg onload={MARK}()>",
    f"]]><script>{MARK}()</script>",
    f"</title></desc></style></script><script>{MARK}()</script>",
    f"javascript:{MARK}()",
    f"{{{{ {MARK} }}}}{{% {MARK} %}}",
    f"<!-- {MARK} --> &lt;script&gt;{MARK}()",
    f"\u2028{MARK}\u202e",
]


class Audit(HTMLParser):
    """Collects the elements, addresses and handlers of a page, and the text in its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.code = ""
        self.runs = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.runs = tag == "style" or (tag == "script" and ("type", "application/json") not in attrs)
        for key, value in attrs:
            if key.startswith("on") or key == "style":
                self.handlers.append(f"{tag} {key}={value}")
            if key in ("href", "src", "action", "formaction", "data", "srcdoc", "xlink:href"):
                self.addresses.append(value or "")

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1] in ("script", "style") and self.runs:
            self.code += data


def audit(folder: Path, text: str) -> tuple[Audit, str]:
    """A report in which every text of every table, the plan and the provenance is this one."""
    tables = write_tables(folder / "tables")
    for path in tables.glob("*.csv"):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        keep = {"verdict", "criterion", "comparison", "statistic", "stage", "status"}
        for column in table.columns.difference([*keep, "at_grid_edge"]):
            numbers = pd.to_numeric(table[column].replace("", None), errors="coerce")
            if numbers.isna().any() and (table[column] != "").any():
                table.loc[numbers.isna() & ~table[column].isin(["reinforce", "pathwise"]), column] = text
        if path.stem == "cells":
            table["status"] = ["failed", *[text] * (len(table) - 1)][: len(table)]
        table.to_csv(path, index=False)
    for name, figure in FIGURES.items():
        figure.draw(Tables(tables), folder / "figures" / f"{name}.svg")
    cell = Cell("gradients", text, "pathwise", 0.1, "not_applicable", text, "pathwise", text, False, 2.0, 2, text)
    plan = Plan(text, {text: text, "plugins": [text]}, (cell,))
    provenance = {"versions": {text: text}, "commit": text, "machine": [text, {"name": text}]}
    render_report(Tables(tables), folder / "figures", plan, folder / "report.html", provenance)
    page = (folder / "report.html").read_text(encoding="utf-8")
    return Audit(page), page


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """The same report of harmless words."""
    return audit(tmp_path_factory.mktemp("plain"), "plain")[0]


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_nothing_breaks_out_of_the_report(text: str, plain: Audit, tmp_path: Path) -> None:
    hostile, page = audit(tmp_path / "hostile", text)
    assert MARK in page  # it is shown, as text
    assert hostile.elements == plain.elements
    assert hostile.handlers == plain.handlers
    assert MARK not in hostile.code
    for address in hostile.addresses:
        carried = r"#|data:image/svg\+xml,|data:application/(gzip|x-bibtex);base64,|data:,$"
        assert re.match(carried, address) or address in {work.link for work in WORKS}, address[:80]
    # figures stand alone as well
    for figure in (tmp_path / "hostile/figures").glob("*.svg"):
        drawn = Audit(figure.read_text(encoding="utf-8"))
        assert "script" not in drawn.elements
        assert not {"img", "foreignobject", "iframe", "a"} & set(drawn.elements)
        assert not [handler for handler in drawn.handlers if " on" in handler]
        assert all(re.match(r"(#|data:image/png;base64,)", address) for address in drawn.addresses)


def test_a_job_that_fails_shows_no_markup_of_the_shell(tmp_path: Path) -> None:
    """An argument by hand that is no number or name ends in a sentence, and nothing it says is run."""
    command = [sys.executable, "-m", "scorepath", "gradients", "$(touch sprung)", "`touch sprung`", "0.1"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir())
