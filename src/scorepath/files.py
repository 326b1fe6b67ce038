"""Writing results so that a partial file is never taken for one: a temporary name first, then one rename."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

files_written: list[Path] = []
"""What this process has written so far, for its record (`scorepath.records`)."""


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that appears under `path` only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "b" not in mode
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, mode, encoding="utf-8" if text else None, newline="" if text else None) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a crash of the machine may keep the name and lose the bytes
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        files_written.append(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> None:
    """Write tidy rows, which share their keys, as CSV; numbers with nine significant digits.

    Columns need to be given only where there may be no rows.
    """
    with atomic_write(path) as file:
        writer = csv.DictWriter(file, fieldnames=list(columns or rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: format(v, ".9g") if isinstance(v, float) else v for k, v in row.items()})
