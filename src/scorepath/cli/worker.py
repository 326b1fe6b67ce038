"""The process of the warm worker: imports what every job needs, then serves."""

from __future__ import annotations

import gc
import importlib
import select
import socket
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

from scorepath.running.worker import Jobs, serve, vanguard

COMPUTING = ("torch", "scorepath.training")
"""What cells import, and all that the first jobs need; CUDA must not be touched before a fork."""
REPORTING = ("pandas", "seaborn", "scorepath.reporting.page", "scorepath.stages.tables")
"""What gathers, figures and report import as well."""


def main() -> None:
    """Serve until the owner ends, whose pipe is among the arguments that `scorepath.running.launch` gives.

    The first jobs wait for no more than they need: a vanguard serves them while this process imports the rest.
    """
    path, (listening, owned, hands, lazy) = Path(sys.argv[1]), map(int, sys.argv[2:])
    try:
        with socket.socket(fileno=listening) as listener:
            if lazy:  # a part of a study: perhaps it has no figures, or no job at all
                select.select([owned, listener.fileno()], [], [])
            load(COMPUTING, owned)
            from scorepath import training
            from scorepath.cli import commands
            from scorepath.store import records
            from scorepath.study.jobs import RULES

            commands.parser(), records.versions()  # made once; each fork would make them again
            rules = {rule.command: rule for rule in RULES.values() if rule.name != "plan"}
            jobs = Jobs(commands.run_here, rules.__contains__, lambda command: rules[command].many)
            with nullcontext() if lazy else vanguard(listener, owned, jobs, hands):
                if not lazy:  # whose hands import the little that their jobs need beside: a hand that trains goes on
                    load(REPORTING, owned)
                    training.warm_up()
                gc.collect()
                gc.freeze()  # a fork's collector would touch, and so copy, all that it shares with its siblings
            serve(listener, [owned], jobs, hands)
    finally:
        path.unlink(missing_ok=True)
        path.parent.rmdir()


def load(modules: Iterable[str], owned: int) -> None:
    """Import the modules; end this process if the owner has ended meanwhile."""
    for module in modules:
        importlib.import_module(module)
        if select.select([owned], [], [], 0)[0]:
            raise SystemExit


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder of the study, which holds no modules
    main()
