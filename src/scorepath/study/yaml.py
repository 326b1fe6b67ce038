"""Reading YAML strictly: no key twice, nothing that JSON cannot hold, nothing that grows without bound."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from scorepath.study.wording import ConfigError, dotted, kind_of, shown

LARGEST_FILE = 2_000_000
"""Bytes of a configuration file; a study of a hundred thousand cells takes a tenth of them."""
DEEPEST = 20
"""Levels of lists and mappings in each other; a study has six."""
MOST_ENTRIES = 200_000
"""Keys and values in all, those counted that YAML's aliases repeat."""
MOST_MERGED = 1_000
"""Keys that YAML's `<<` may bring into one mapping."""


class _Loader(yaml.SafeLoader):
    """The safe loader, stricter: no key twice (YAML itself keeps the last one silently), no tags, no deep nesting."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            raise self._error(event, f"the tag {tag} has no place in a configuration; write the plain value")
        self.depth += 1
        if self.depth > DEEPEST:
            raise self._error(event, f"lists and mappings stand in each other more than {DEEPEST} levels deep")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            line = key.start_mark.line + 1
            if key.value in lines:
                raise ConfigError(
                    f"The key {key.value!r} stands twice in one mapping, on lines {lines[key.value]} and {line}; "
                    "keep one."
                )
            lines[key.value] = line
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        merged = [value for key, value in node.value if key.tag == "tag:yaml.org,2002:merge"]
        listed = [len(value.value) for value in merged if isinstance(value, yaml.SequenceNode)]
        if sum(listed) <= MOST_MERGED:
            super().flatten_mapping(node)
        if sum(listed) > MOST_MERGED or len(node.value) > MOST_MERGED:
            raise self._error(node, f"`<<` brings more than {MOST_MERGED} keys into one mapping")

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ConfigError:
            raise
        except ValueError:  # 2026-13-01, 0x_, a number of five thousand digits
            value = shown(str(node.value))
            raise self._error(node, f"{value} is no date or number, though it looks like one; quote it") from None

    @staticmethod
    def _error(place: Any, problem: str) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


def load_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, too large, is not YAML, is not a mapping, or says a key twice.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        text = content.decode("utf-8-sig") if len(content) <= LARGEST_FILE else ""
    except (OSError, ValueError) as error:  # a ValueError that is not about UTF-8 is about the path
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.args[-1]
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or reason}.") from None
    if len(content) > LARGEST_FILE:
        raise ConfigError(f"{path} cannot be read: it is larger than {LARGEST_FILE // 10**6} MB.")
    try:
        loaded = yaml.load(text, Loader=_Loader)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where} is not valid YAML: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} must hold keys and values, such as `seed: 1`; it holds {kind_of(loaded)}.")
    return loaded


def check_plain(config: Mapping[str, Any]) -> None:
    """Make sure of a configuration, as YAML's objects, that it is a finite tree of what JSON can hold.

    Raises:
        ConfigError: naming the first key or value that is something else (a date, say), or that contains itself.
    """
    sizes: dict[int, int] = {}
    above: set[int] = set()  # what the value stands in

    def size(value: object, path: tuple[object, ...]) -> int:
        """The entries in a value; those of one that aliases repeat are counted each time, but once looked at."""
        if not isinstance(value, Mapping | list | tuple):
            if value is not None and not isinstance(value, str | bool | int | float):
                raise ConfigError(
                    f"{dotted(path)} is {shown(value)}, which YAML reads as {kind_of(value)}; a configuration holds "
                    "names, numbers, true or false, lists and mappings (quotes make a name of anything)."
                )
            return 1
        if id(value) in sizes:
            return sizes[id(value)]
        if id(value) in above:
            raise ConfigError(f"{dotted(path[:1])} contains itself: an alias of YAML refers to what it stands in.")
        if len(path) > DEEPEST:
            raise ConfigError(f"{dotted(path[:1])} nests lists and mappings more than {DEEPEST} levels deep.")
        above.add(id(value))
        for key in value if isinstance(value, Mapping) else ():
            if not isinstance(key, str):
                raise ConfigError(
                    f"{dotted((*path, str(key)))}: a key must be a name, but YAML reads {shown(key)} as {kind_of(key)}."
                )
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        total = 1 + sum(size(item, (*path, key)) for key, item in items)
        if total > MOST_ENTRIES:
            raise ConfigError(
                f"{dotted(path) or 'The configuration'} has more than {MOST_ENTRIES} entries, those counted that "
                "aliases repeat."
            )
        above.remove(id(value))
        sizes[id(value)] = total
        return total

    size(config, ())
