"""What an exception says to whom: a mistake that its author can mend, an error in a plugin, or a fault in Scorepath.

Errors meant for people are raised on purpose: `ValueError`, `LookupError` or `OSError` by a `raise` of this package,
with a whole sentence. Whatever else escapes (a `KeyError`, a `ValueError` of numpy's) is a fault of the code that
raised it: of a user's plugin if that was at work, else of Scorepath, and then nothing in the study mends it.
"""

from __future__ import annotations

import dis
import os
import stat
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from scorepath.store.paths import PACKAGE

PLUGIN = "scorepath_plugin_"
"""How the names of plugins' modules begin."""
TRACKER = "the project's issue tracker"
MOST_CHARACTERS = 400
"""Of what an exception says; its traceback holds all of it."""
MISTAKE = 1
"""Exit status of all errors but a fault in Scorepath."""
FAULT = 70
"""Exit status of that: EX_SOFTWARE, as sysexits.h has it."""


class Explanation(NamedTuple):
    """What is said of an exception."""

    sentence: str
    status: int = MISTAKE
    """The exit status that it deserves."""
    foreseen: bool = True
    """Whether the sentence says all; else whoever mends it needs the traceback."""
    of_plugin: bool = False
    """Whether it names the line of a plugin's that failed: all that a person needs who calls a command by hand."""


@dataclass(frozen=True)
class Place:
    """A line that was being run when an exception was raised."""

    frame: FrameType
    line: int
    instruction: int

    @property
    def path(self) -> Path:
        return Path(self.frame.f_code.co_filename)

    @property
    def ours(self) -> bool:
        return self.path.is_relative_to(PACKAGE)

    @property
    def users(self) -> bool:
        """Whether it is a plugin, or a file beside one: no part of this package, of Python, or of a library."""
        name = str(self.frame.f_globals.get("__name__", ""))
        return name.startswith(PLUGIN) or not (self.ours or str(self.path).startswith(("<", *_libraries())))

    @property
    def raises(self) -> bool:
        """Whether the line is a `raise` statement, and no call of something that raised."""
        code = self.frame.f_code.co_code
        return 0 <= self.instruction < len(code) and dis.opname[code[self.instruction]] == "RAISE_VARARGS"

    def __str__(self) -> str:
        return f"{self.path.relative_to(PACKAGE) if self.ours else _near(self.path)}, line {self.line}"


def explain(error: Exception) -> Explanation:
    """What is to be said of an exception that ended a command."""
    places = list(_places(error))
    if _on_purpose(error, places):
        return Explanation(str(error.args[0] if isinstance(error, LookupError) and error.args else error))
    text = _text(error)
    if plugin := next((place for place in reversed(places) if place.users), None):
        return Explanation(f"an error in your plugin {plugin}: {text}", foreseen=False, of_plugin=True)
    if isinstance(error, OSError):  # the system's: a disk, a folder, a file
        return Explanation(str(error))
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return Explanation(f"this needs more memory than there is: {text}", foreseen=False)
    if isinstance(error, ImportError) and not (error.name or "").startswith(PACKAGE.name):
        return Explanation(f"this installation is not complete: {text}; `make run` sets one up", foreseen=False)
    where = next((f" (in {place})" for place in reversed(places) if place.ours), "")
    evidence = log_of_this_process() or "all lines of this message"
    report = f"Please report it with {evidence} and the configuration to {TRACKER}."
    if plugin_file := _plugin_at_work(places):
        return Explanation(
            f"{text}{where}, at work with your plugin {plugin_file}, whose error it may be: `scorepath check "
            f"{plugin_file}` examines it. If that finds nothing wrong, it is a fault in Scorepath. {report}",
            foreseen=False,
        )
    return Explanation(f"a fault in Scorepath, not in your study: {text}{where}. {report}", FAULT, foreseen=False)


def log_of_this_process() -> str:
    """The file that standard error goes to, such as a job's log; "" if it is none, or can't be told."""
    try:
        descriptor = sys.stderr.fileno()
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode) and path.is_file()
    except (OSError, ValueError):
        return ""
    return str(_near(path)) if regular else ""


def _on_purpose(error: Exception, places: list[Place]) -> bool:
    """Whether this package raised an exception for someone who can mend its cause."""
    if isinstance(error, KeyError | IndexError) or not isinstance(error, ValueError | LookupError | OSError):
        return False
    return not places or (places[-1].ours and places[-1].raises)


def _text(error: Exception) -> str:
    """An exception's kind and message on one line."""
    message = " ".join(str(error).split())
    short = message if len(message) <= MOST_CHARACTERS else f"{message[:MOST_CHARACTERS]}..."
    return f"{type(error).__name__}: {short}" if short else type(error).__name__


def _places(error: Exception) -> Iterator[Place]:
    """From the outermost call to the innermost."""
    step = error.__traceback__
    while step is not None:
        yield Place(step.tb_frame, step.tb_lineno, step.tb_lasti)
        step = step.tb_next


def _plugin_at_work(places: Iterable[Place]) -> str:
    """The file of an environment or estimator of a user's that a call on the way held, or ""."""
    for place in places:
        for value in place.frame.f_locals.values() if place.ours else ():
            module = sys.modules.get(type(value).__module__)
            if module is not None and module.__name__.startswith(PLUGIN) and module.__file__:
                return str(_near(Path(module.__file__)))
    return ""


@cache
def _libraries() -> tuple[str, ...]:
    """The folders of Python's own modules and of what is installed."""
    return tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def _near(path: Path) -> Path:
    """A path as seen from the working directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
