"""`logger: [scorepath]` in a profile: Snakemake finds the display by this package's name; it is `running.display`."""

from scorepath.running.display import LogHandler, LogHandlerSettings

__all__ = ["LogHandler", "LogHandlerSettings"]
