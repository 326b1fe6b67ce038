"""What an environment is, for its card: sentence and equations of its family's own file, its knobs, its horizon.

The file is read, not imported: a page needs no torch.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from scorepath.figures.wording import label
from scorepath.reporting.rows import declared_facts
from scorepath.store.paths import PACKAGE
from scorepath.study.cells import Plan

SKETCHES = PACKAGE / "reporting" / "sketches"
"""A drawing of the system per family; a family of landscapes has none, for its return along a line is one."""


def cards(plan: Plan | None) -> dict[str, dict[str, Any]]:
    """A card per environment of the plan: family, sentence, equations, sketch, knobs, facts; none without a plan."""
    facts = declared_facts(plan)
    found = {}
    for entry in plan.config.get("environments", ()) if plan else ():
        words = described(entry["family"], entry.get("plugin", ""))
        found[entry["name"]] = {
            "family": label(entry["family"]),
            "knobs": ", ".join(f"{label(name)} {value}" for name, value in entry["knobs"].items()),
            "facts": "; ".join(facts.get(entry["name"], [])),
            "sketch": "" if entry.get("plugin") else entry["family"] if entry["family"] in sketches() else "",
            **words,
        }
    return found


def sketches() -> dict[str, str]:
    """The drawings of systems that this package has, by family."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(SKETCHES.glob("*.svg"))}


def described(family: str, plugin: str = "") -> dict[str, str]:
    """The first paragraph of a family's module, its `sentence`, and its class's text down to the attributes, its
    `equations`; empty where the file is not there to be read."""
    path = Path(plugin) if plugin else PACKAGE / "environments" / f"{family}.py"
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return {"sentence": "", "equations": ""}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    own = next((node for node in classes if "dataclass" in " ".join(map(ast.unparse, node.decorator_list))), None)
    text = (ast.get_docstring(own) or "").partition("Attributes:")[0].strip() if own else ""
    return {"sentence": _joined((ast.get_docstring(tree) or "").split("\n\n")[0]), "equations": text and _joined(text)}


def _joined(text: str) -> str:
    """Paragraphs, each in one line."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
