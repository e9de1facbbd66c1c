"""The demo: a story told by the real app against both simulators, and the processes that tests and benchmarks start."""

from app.demo.processes import Place, command, free_port, processes, serve_simulator

__all__ = ["Place", "command", "free_port", "processes", "serve_simulator"]
