"""Findings: what a check found wrong, in plain words. An error raised by the checked code becomes a finding too."""

from __future__ import annotations

import dataclasses
import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar


class Remark(str):
    """What a check found that is worth knowing and no fault: it refuses nothing."""


Subject = TypeVar("Subject")
Check = Callable[[Subject], Iterator[str]]


def examine(subject: Subject, groups: Iterable[Iterable[Check[Subject]]]) -> Iterator[tuple[str, list[str]]]:
    """What each check makes sure of, and its findings. A group that finds a fault is the last: others build on it."""
    for group in groups:
        wrong = False
        for check in group:
            found = list(run(check, subject))
            wrong = wrong or bool(faults(found))
            yield " ".join((inspect.getdoc(check) or "").partition("\n\n")[0].split()), found
        if wrong:
            return


def faults(found: Iterable[str]) -> list[str]:
    """Findings without remarks."""
    return [finding for finding in found if not isinstance(finding, Remark)]


def run(check: Check[Subject], subject: Subject) -> Iterator[str]:
    """One check's findings, the last one being the error that ended it, if any did."""
    try:
        yield from check(subject)
    except Exception as error:
        yield describe(error, type(subject))


def describe(error: Exception, kind: type[Any]) -> str:
    """Which method raised what and where; a line of the checked class's own file if the error passed through it."""
    own = source_file(kind)
    frames = traceback.extract_tb(error.__traceback__)
    frame = next((each for each in reversed(frames) if Path(each.filename) == own), None)
    last = frames[-1]
    if frame is not None:
        return f"{frame.name}() raised {type(error).__name__} at {place(frame)}: {first_line(error)}"
    if isinstance(error, NotImplementedError):
        return f"{kind.__name__} does not define {last.name}(), which is needed here: {first_line(error)}"
    return f"using it ended in {type(error).__name__} at {place(last)}: {first_line(error)}"


def place(frame: traceback.FrameSummary) -> str:
    """Line and file."""
    return f"line {frame.lineno} of {Path(frame.filename).name}"


def source_file(kind: type[Any]) -> Path | None:
    """The file that a class is defined in, if there is one."""
    try:
        return Path(inspect.getfile(kind))
    except (TypeError, OSError):
        return None


def first_line(error: Exception) -> str:
    """An error's message up to the first line break, without a full stop."""
    return (str(error).splitlines() or ["no message"])[0].rstrip(".")


def knobs(instance: Any) -> Iterator[str]:
    """Fields are fields, and instances with equal ones are the same."""
    kind = type(instance)
    fields = {field.name for field in dataclasses.fields(instance)}
    for name, annotation in inspect.get_annotations(kind).items():
        if name not in fields and "ClassVar" not in str(annotation):
            yield f"{name} is no field: write @dataclass(frozen=True, kw_only=True) above class {kind.__name__}"
    try:
        hash(instance)
    except TypeError as error:
        yield f"{kind.__name__} must be hashable: turn lists into tuples in __post_init__ ({error})"
        return
    if dataclasses.replace(instance) != instance:
        yield f"a copy of a {kind.__name__} with equal fields must equal it"
