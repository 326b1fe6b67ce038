"""Users' files as modules: a plugin, the modules beside it that it imports, and the data files that it declares.

A plugin's folder is on no search path. What it imports from there is read in its text, and in the text of what it
imports: these modules are found and no others, in whatever folder a job runs and however it was started. So all that
can be imported is known, without importing it, to whoever asks what a result depends on (`scorepath.study.digests`).
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
)
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path, PurePosixPath
from types import CodeType, ModuleType

PREFIX = "scorepath_plugin_"
"""Before a plugin's own name in `sys.modules`: it may be called like the library that it wraps."""
DATA = "data_files"
PACKAGE = Path(__file__).resolve().parent
MACHINERY = (__file__, str(importlib.__file__), "<frozen ")
"""Where the names of files begin whose lines in a traceback are of no use to the author of another one."""


@dataclass(frozen=True)
class Plugin:
    """A user's file and what belongs to it; a place is relative to the folder that the file lies in."""

    file: Path
    sources: Mapping[str, Path]
    """The file and the modules beside it that it imports, directly or not: place -> file."""
    modules: Mapping[str, Path]
    """What these import from the folder, by the first part of its name: a file, or a folder without `__init__.py`."""
    declared: frozenset[str]
    """The `data_files` that their text names."""
    data: Mapping[str, Path]
    """Those that exist, a folder being all files in it: place -> file."""

    @property
    def files(self) -> Mapping[str, Path]:
        """All of it: place -> file."""
        return {**self.sources, **self.data}


# --- what belongs to a plugin, read without importing it --------------------------------------------------------------


def read(path: Path) -> Plugin:
    """What belongs to the plugin in this file, as far as it is there."""
    file = path.resolve()
    folder = file.parent
    sources, modules = {path.name: file}, dict[str, Path]()
    declared: set[str] = set()
    waiting = [file]
    while waiting:
        source = waiting.pop()
        tree = syntax_tree(source)
        declared.update(_data_names(tree))
        for level, name in (*imported_names(tree), *_named_in_calls(tree)):
            start = source.parents[min(level, len(source.parents)) - 1] if level else folder
            found = _files_of(name, start) if start.is_relative_to(folder) else []
            if not found or found[0].is_relative_to(PACKAGE) or (source == file and found == [file]):
                continue  # from elsewhere: a plugin that is called like the library it wraps means that
            if not level:
                first = name.partition(".")[0]
                modules[first] = _place(_spec(first, [str(folder)]))
            for each in found:
                place = path.name if each == file else each.relative_to(folder).as_posix()
                if place not in sources:
                    sources[place] = each
                    waiting.append(each)
    return Plugin(file, sources, modules, frozenset(declared), _data(folder, declared))


def syntax_tree(path: Path) -> ast.Module:
    """A file's statements; none if it is no Python, for whoever imports it will hear of that."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def imported_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What import statements may mean: how many dots stand in front, and a dotted name, perhaps of no module."""
    for node in _runtime_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module:
                yield node.level, node.module
            yield from ((node.level, ".".join(filter(None, (node.module, alias.name)))) for alias in node.names)


def _named_in_calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The same of `import_module("name")`, as far as the name stands there."""
    for node in _runtime_nodes(tree):
        if isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            name = getattr(node.args[0], "value", None)
            if called in ("import_module", "__import__") and isinstance(name, str):
                bare = name.lstrip(".")
                yield len(name) - len(bare), bare


def _runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a module but those under `if TYPE_CHECKING:`."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        stack.extend(ast.iter_child_nodes(node))


def _data_names(tree: ast.AST) -> Iterator[str]:
    """What is assigned to `data_files`, as far as it is written out."""
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if any(isinstance(target, ast.Name) and target.id == DATA for target in targets):
            names = (getattr(each, "value", None) for each in getattr(value, "elts", ()))
            yield from (name for name in names if isinstance(name, str))


def _data(folder: Path, declared: Iterable[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name in filter(_is_below, declared):
        path = folder / name
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        found |= {file.relative_to(folder).as_posix(): file for file in files if file.suffix != ".pyc"}
    return dict(sorted(found.items()))


def _is_below(name: str) -> bool:
    """Whether a path stays below the folder that it is relative to."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def clash(one: Plugin, other: Plugin) -> str:
    """A name under which both import a module, but each its own; "" if there is none."""
    return next((name for name, place in one.modules.items() if other.modules.get(name, place) != place), "")


# --- finding modules in a folder --------------------------------------------------------------------------------------


class _Source(SourceFileLoader):
    """Compiles what stands in the file now.

    Bytecode counts as that of a text of the same second and length, which an edit can have; and the folder is not ours.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _spec(name: str, folders: Iterable[str]) -> ModuleSpec | None:
    """How a module in one of these folders would be loaded."""
    for folder in folders:
        finder = FileFinder(folder, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_Source, SOURCE_SUFFIXES))
        if spec := finder.find_spec(name):
            return spec
    return None


def _place(spec: ModuleSpec | None) -> Path:
    """Where a module lies: its file, or its folder if that has no `__init__.py`."""
    assert spec is not None
    places = [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or [])
    return Path(places[0]).resolve()


def _files_of(name: str, folder: Path) -> list[Path]:
    """The files that the import of a dotted name would run, in their order; none if the folder has no such module."""
    found, folders = [], [str(folder)]
    for part in name.split("."):
        if not (spec := _spec(part, folders)):
            break  # what follows is no module
        if spec.has_location and spec.origin:
            found.append(Path(spec.origin))
        folders = list(spec.submodule_search_locations or [])
    return found


class _Neighbours:
    """Finds for import statements what `read` has found in the text of a plugin that is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """How to load a module; None if it is no plugin's.

        Raises:
            ImportError: for a module in a plugin's package that no digest knows of.
        """
        first = fullname.partition(".")[0]
        plugin = next((each for each in _loaded.values() if first in each.modules), None)
        if plugin is None:
            return None
        spec = _spec(fullname, [str(plugin.file.parent)] if path is None else path)
        if spec and spec.has_location and _place(spec) not in _known_files(first):
            raise ImportError(f"{fullname} must be imported by name: no text shows that the plugin depends on it")
        return spec


def _known_files(first: str) -> set[Path]:
    """The files of all loaded plugins that import modules of this name."""
    plugins = (plugin for plugin in _loaded.values() if first in plugin.modules)
    return {file.resolve() for plugin in plugins for file in plugin.sources.values()}


_loaded: dict[Path, Plugin] = {}
_finder = _Neighbours()


# --- importing --------------------------------------------------------------------------------------------------------


def load(path: Path) -> tuple[ModuleType, Plugin]:
    """Import a user's file, once for each process; its module, and what belongs to it.

    Raises:
        LookupError: if the file or its data do not exist, a module beside it has a name that is taken, or it cannot be
            imported.
    """
    if path.suffix != ".py" or not (path.stem.isascii() and path.stem.isidentifier()):
        raise LookupError(f"{path} must be a Python file whose name is a plain identifier, such as my_environment.py")
    if not os.path.isfile(path):  # unlike Path.is_file, it has no exception for names that no file can have
        raise LookupError(f"there is no file {path}; the path is relative to the folder that the study is run in")
    file = path.resolve()
    module = _module_of(path.stem, file)
    if module is not None and file in _loaded:
        return module, _loaded[file]
    plugin = read(path)
    _require_data(path, plugin)
    for other in [other for other in _loaded.values() if clash(plugin, other)]:
        _forget(other)  # of another study, for one study has no two
    _require_free_names(path, plugin)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    _loaded[file] = plugin
    return module or _imported(path, plugin), plugin


def _module_of(stem: str, file: Path) -> ModuleType | None:
    """The module of a plugin that is imported already, as one or as another's neighbour."""
    for name in (f"{PREFIX}{stem}", stem):
        module = sys.modules.get(name)
        if module is not None and os.path.realpath(getattr(module, "__file__", None) or "") == str(file):
            return module
    return None


def _imported(path: Path, plugin: Plugin) -> ModuleType:
    name = f"{PREFIX}{path.stem}"
    spec = spec_from_file_location(name, plugin.file, loader=_Source(name, str(plugin.file)))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)  # dataclasses look their module up
    # a plugin that another imports is one module all the same
    if any(other.modules.get(path.stem) == plugin.file for other in _loaded.values()):
        sys.modules[path.stem] = module
    for neighbour, place in plugin.modules.items():
        if (same := _module_of(neighbour, place)) is not None:
            sys.modules[neighbour] = same
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        _forget(plugin)
        raise LookupError(f"{path} cannot be imported: {cause(error, plugin.file)}") from error
    return module


def _forget(plugin: Plugin) -> None:
    """Let the next import of a plugin and of its neighbours be a new one."""
    _loaded.pop(plugin.file, None)
    own = sys.modules.get(f"{PREFIX}{Path(next(iter(plugin.sources))).stem}")
    for name, module in list(sys.modules.items()):
        if module is own or name.partition(".")[0] in plugin.modules:
            del sys.modules[name]


def _require_data(path: Path, plugin: Plugin) -> None:
    for name in sorted(plugin.declared):
        if not _is_below(name):
            raise LookupError(
                f"{path} declares the data file {name!r}, but it must lie in the plugin's folder or below"
            )
        if not (plugin.file.parent / name).is_dir() and PurePosixPath(name).as_posix() not in plugin.data:
            raise LookupError(f"{path} declares the data file {name}, but there is no file {path.parent / name}")


def require_shown(path: Path, plugin: Plugin, declared: object) -> None:
    """Compare what a plugin declares as its `data_files` with what its text shows, from which digests are made.

    Raises:
        LookupError: naming what is wrong.
    """
    if not isinstance(declared, tuple) or not all(isinstance(name, str) for name in declared):
        raise LookupError(f"{path}: {DATA} must be a tuple of file names, got {declared!r:.100}")
    if hidden := [name for name in declared if name not in plugin.declared]:
        raise LookupError(
            f"{path} declares the data file {hidden[0]!r} in a way that its text does not show; write the names out, "
            f'as in {DATA} = ("{hidden[0]}",)'
        )


def _require_free_names(path: Path, plugin: Plugin) -> None:
    for name, place in plugin.modules.items():
        if owner := _owner(name, place):
            raise LookupError(
                f"{path} imports {name}, but there are two: {place.name} beside it, and {owner}; rename the former"
            )


def _owner(name: str, place: Path) -> str:
    """Whose module has this name as well; "" if nobody's."""
    if name in sys.stdlib_module_names:
        return "a module of Python's own"
    here = os.path.realpath(os.curdir)  # on the path of a process that `python -m` starts, and of no other
    spec = PathFinder.find_spec(name, [entry for entry in sys.path if os.path.realpath(entry) != here])
    for other in (spec.origin if spec else None, getattr(sys.modules.get(name), "__file__", None)):
        if other and Path(other).resolve() != place:
            return other
    return ""


def cause(error: BaseException, file: Path | None = None) -> str:
    """An error in a file, or in what it imports, as one line: where and what."""
    if isinstance(error, SyntaxError):
        elsewhere = file is not None and error.filename and os.path.realpath(error.filename) != str(file)
        return f"line {error.lineno}{f' of {Path(str(error.filename)).name}' if elsewhere else ''}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(MACHINERY)]
    last = (own or frames)[-1]
    return f"line {last.lineno} of {Path(last.filename).name}: {type(error).__name__}: {error}"
