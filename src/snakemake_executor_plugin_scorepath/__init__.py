"""`executor: scorepath` in a profile: Snakemake finds the executor by this package's name; it is `running.executor`."""

from scorepath.running.executor import Executor, common_settings

__all__ = ["Executor", "common_settings"]
