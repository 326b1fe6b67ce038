"""Writing results so that a partial file is never taken for one: a temporary name first, then one rename.

A disk that does not take the file is said in a sentence with the remedy.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

PARTIAL = ".partial"
"""How the temporary names end; a killed process leaves its own behind."""

REMEDIES = {
    errno.ENOSPC: "make room on this disk",
    errno.EDQUOT: "make room within your quota",
    errno.EROFS: "make this folder writable, or copy the project to where you may write",
    errno.EACCES: "make this folder writable for you",
    errno.EPERM: "make this folder writable for you",
}

files_written: dict[Path, str] = {}
"""What this process has written so far, with the bytes' checksums, for its record (`scorepath.store.records`)."""


def remedy(code: int | None) -> str | None:
    """What an error of the system with this number means and what to do, where a person can do something."""
    if code not in REMEDIES:
        return None
    return f"{os.strerror(code)}; {REMEDIES[code]}, then run the same command again"


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise an OSError that has a remedy anew, as a sentence that names the file and the remedy."""
    try:
        yield
    except OSError as error:
        if (answer := remedy(error.errno)) is None:
            raise
        raise OSError(f"{path} cannot be written: {answer}") from error


def require_writable(path: Path) -> None:
    """Before long work: raises OSError, in a sentence, if no file can be written there."""
    if path.is_dir():
        raise OSError(f"{path} cannot be written: it is a folder; name a file")
    above = next(each for each in path.absolute().parents if each.exists())
    if not above.is_dir():
        raise OSError(f"{path} cannot be written: {above} is no folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise OSError(f"{path} cannot be written: {remedy(errno.EACCES)}")


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that appears under `path` only when the block ends without an error."""
    text = "b" not in mode
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
        try:
            with os.fdopen(descriptor, mode, encoding="utf-8" if text else None, newline="" if text else None) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # or a crash of the machine may keep the name and lose the bytes
            os.chmod(temporary, 0o644)
            checksum = sha256(Path(temporary))  # of what was written, whatever becomes of it under its name
            os.replace(temporary, path)
            files_written[path] = checksum
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def sha256(path: Path) -> str:
    """The checksum of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_partial_files(folder: Path) -> None:
    """Delete what killed processes have left; no other may be writing there."""
    for path in folder.rglob(f".*{PARTIAL}"):
        with explained(path):
            path.unlink(missing_ok=True)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> None:
    """Write tidy rows, which share their keys, as CSV; numbers with nine significant digits.

    Columns need to be given only where there may be no rows.
    """
    with atomic_write(path) as file:
        writer = csv.DictWriter(file, fieldnames=list(columns or rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: format(v, ".9g") if isinstance(v, float) else v for k, v in row.items()})
