"""The process of the warm worker: imports what every job needs, then serves."""

from __future__ import annotations

import gc
import importlib
import select
import socket
import sys
from pathlib import Path

from scorepath.running.worker import Jobs, serve

COMPUTING = ("torch", "scorepath.training")
REPORTING = ("pandas", "seaborn", "scorepath.reporting.page", "scorepath.stages.tables")
"""What jobs of these kinds import; CUDA must not be touched before a fork."""


def main() -> None:
    """Serve until the owner ends, whose pipe is among the arguments that `scorepath.running.launch` gives."""
    path, (listening, owned, hands, lazy) = Path(sys.argv[1]), map(int, sys.argv[2:])
    try:
        with socket.socket(fileno=listening) as listener:
            if lazy:  # a part of a study: perhaps it has no figures, or no job at all
                select.select([owned, listener.fileno()], [], [])
            for module in COMPUTING if lazy else COMPUTING + REPORTING:
                importlib.import_module(module)
                if select.select([owned], [], [], 0)[0]:
                    return  # the owner has ended meanwhile
            from scorepath import training
            from scorepath.cli import commands
            from scorepath.store import records
            from scorepath.study.jobs import RULES

            training.warm_up()
            commands.parser(), records.versions()  # made once; each fork would make them again
            gc.collect()
            gc.freeze()  # a fork's collector would touch, and so copy, all that it shares with its siblings
            rules = {rule.command: rule for rule in RULES.values() if rule.name != "plan"}
            jobs = Jobs(commands.run_here, rules.__contains__, lambda command: rules[command].many)
            serve(listener, owned, jobs, hands)
    finally:
        path.unlink(missing_ok=True)
        path.parent.rmdir()


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder of the study, which holds no modules
    main()
