"""argv -> serve, check, simulate, worker; knows options, exit codes and nothing else."""

from multiproxy.cli.main import main

__all__ = ["main"]
