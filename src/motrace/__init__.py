"""motrace: where does each nanosecond of a simulate-render-record loop go, and which component should be optimized?

Measured programs use ``span``, ``frame``, ``segment``, ``thread_role``, ``start`` and ``stop``; importing this
package loads nothing but the standard library.
"""

from .record.annotate import frame, is_recording, segment, span, start, stop, thread_role

__version__ = "0.1.0"
__all__ = ["frame", "is_recording", "segment", "span", "start", "stop", "thread_role", "__version__"]
