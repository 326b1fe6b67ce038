"""A run's errors in plain words: what happened, and what a person can do."""

from __future__ import annotations

import errno
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scorepath.store.files import remedy

OURS = "scorepath: "
"""How a sentence about an error begins, in a log too."""
TRACEBACK = "Traceback (most recent call last):"
LOG_LINES = 15
"""How many of the last lines of a failed job's log are shown."""


# Snakemake's own remarks that a person who waits for a study does not need. Whatever is not listed here is shown.
CHATTER = re.compile(
    r"Assuming unrestricted shared|Building DAG|Using shell|Select jobs|Execute \d+ jobs|Shutting down, this|"
    r"Removing output files of failed|Removing temporary output|Would remove temporary|Touching output file|"
    r"Conda environments: ignored|Singularity containers: ignored|Group jobs: inactive|Loading trusted IOCache|"
    r"Config file .* command line|DAG of jobs will be updated|Updating checkpoint dependencies|Processed \d+ potential|"
    r"Reasons:\n|This was a dry-run|Some jobs were triggered by provenance|Rules with provenance triggered|"
    r"Complete log|Elapsed time|Exiting because a job execution failed"
)


SOME_JOB_FAILED = "At least one job did not complete successfully."
COMMAND_FAILED = re.compile(r"returned non-zero exit status|died with <Signals")


# "WorkflowError in rule r in file "Snakefile", line 3:" before a message, and the traceback after it
ERROR_HEADER = re.compile(r'^\w+( in rule \S+)?( in file ".*", line \d+)?:$')
TRACEBACK_LINE = re.compile(r'^  File ".*", line \d+, in ')
SYSTEM_ERROR = re.compile(r"^\w+: \[Errno (\d+)\] [^:]*(?:: '(.*)')?$", re.MULTILINE)
NOTES_READER = os.path.join("snakemake", "persistence", "file.py")
CACHE = os.path.join("snakemake", "sourcecache.py")
NO_YAML = "Config file is not valid JSON or YAML."
"""How Snakemake says it: without the file and the line."""
PLAIN_ERRORS = {"WorkflowError", "ConfigError", "CliException", "ApiError"}


def failure(job: Mapping[str, Any], wildcards: Mapping[str, object]) -> tuple[str, str]:
    """A failed job, by Snakemake's record of it: its name, and what to know of it."""
    named = ", ".join(f"{name}={value}" for name, value in wildcards.items())
    logs = [str(path) for path in job["log"] or ()]
    lines = [f"  log: {', '.join(logs)}"] if logs else ["  The rule has no log file; see the output above."]
    tail = log_tail(logs)
    lines += [f"  | {line}" for line in tail] if tail or not logs else [f"  | ({full_disk() or 'empty'})"]
    if job.get("rule_msg"):
        lines.append(f"  message: {job['rule_msg']}")
    lines += [f"  {name}: {value}" for name, value in (job.get("aux") or {}).items()]
    if job.get("shellcmd"):
        lines.append(f"  by hand: {job['shellcmd'].strip()}")
    lines.append("  Jobs that do not need its result go on.")
    return f"FAILED: {job['rule_name']}" + (f" ({named})" if named else ""), "\n".join(lines)


def plain_error(message: str, exception: str | None) -> str:
    """An error that a person can mend as just its message; errors of other kinds keep where they come from."""
    if exception == "LockException":
        return (
            "Another run is at work in this folder, or one was killed (kill -9, a power cut) and left its lock. "
            f"If no other is running: `{snakemake_command()} --unlock{_same_study()}`, then the same command again."
        )
    if NO_YAML in message and (found := syntax_error(configfiles(sys.argv) or ["config.yaml"])):
        return found
    if exception == "UnicodeDecodeError" and NOTES_READER in message:
        return (
            "What Snakemake noted of an earlier job in .snakemake/metadata is damaged. `scorepath repair` empties such "
            "notes, and so does a run before it starts: then the same command goes on."
        )
    if CACHE in message and (system := SYSTEM_ERROR.findall(message)):
        return (
            f"Snakemake keeps a cache in your home folder, but {system[-1][1]} cannot be made. Set XDG_CACHE_HOME to a "
            f"folder where you may write, such as `export XDG_CACHE_HOME={Path.cwd() / '.cache'}`, then the same "
            "command again."
        )
    if (system := SYSTEM_ERROR.findall(message)) and (answer := remedy(int(system[-1][0]))):
        return f"{system[-1][1] or Path.cwd()}: {answer}."
    if exception not in PLAIN_ERRORS:
        return message
    lines = message.splitlines()
    while lines and TRACEBACK_LINE.match(lines[-1]):
        lines.pop()
    if len(lines) > 1 and ERROR_HEADER.match(lines[0]):
        lines.pop(0)
    return "\n".join(lines)


def snakemake_command() -> str:
    """How a person in this folder calls the Snakemake that runs."""
    command = Path(sys.executable).with_name("snakemake")
    return str(command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command)


def configfiles(arguments: Sequence[str]) -> list[str]:
    """The files that a Snakemake of these arguments has for its configuration in the place of config.yaml."""
    files: list[str] = []
    taking = False
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if option.startswith("-"):
            taking = option in ("--configfile", "--configfiles") and not equals
            files += [value] if equals and option in ("--configfile", "--configfiles") else []
        elif taking:
            files.append(argument)
    return files


def _same_study() -> str:
    """The arguments without which Snakemake would look for config.yaml instead, as a shell reads them."""
    files = configfiles(sys.argv)
    return f" --configfile {shlex.join(files)}" if files else ""


def syntax_error(paths: Iterable[str]) -> str | None:
    """Where the first of these files that is no YAML goes wrong, in a sentence."""
    for path in paths:
        try:
            yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f", line {mark.line + 1}" if mark else ""
            return f"{path}{where} is not valid YAML: {error.problem or error.context}."
        except (OSError, ValueError, yaml.YAMLError):
            continue
    return None


def full_disk() -> str | None:
    """What to do if there is no room left here: a job's log can't say so then."""
    return remedy(errno.ENOSPC) if os.statvfs(".").f_bavail == 0 else None


def log_tail(paths: Iterable[str]) -> list[str]:
    """The last lines of the first log that holds any; of a traceback only the sentence below it."""
    for path in paths:
        try:
            lines = Path(path).read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
        except OSError:
            continue
        if lines and lines[-1] == "KeyboardInterrupt":  # Ctrl-C met Python before it came to our code
            return ["scorepath: stopped"]
        if lines and lines[-1].startswith(OURS) and TRACEBACK in lines:
            return lines[-1:]  # it says whose error it is, and where the rest stands
        if lines:
            return lines[-LOG_LINES:]
    return []
