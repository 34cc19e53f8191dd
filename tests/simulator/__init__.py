"""A simulated pipeline of which everything is known: a run folder with a trace, and the truth about it.

Test tool and benchmark tool: from ten thousand to a hundred million events, in bounded memory.
``python -m tests.simulator OUT --frames 200``; the modules, in the order in which data flows:
``config`` (what is asked for), ``layout`` (the phases of a frame), ``world`` (who worked when),
``truth`` (the attribution that follows), ``logs`` (span log, CPU clock log), ``cpu_events`` and
``gpu_events`` (rows of Nsight Systems' tables), ``schema`` and ``export`` (the SQLite file),
``simulate`` (all of it).
"""

from .config import Config
from .simulate import Simulated, simulate

__all__ = ["Config", "Simulated", "simulate"]
