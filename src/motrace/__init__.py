"""motrace: where did every nanosecond of a simulate-render-record loop go, and who can give it back?

Measured programs use ``span``, ``frame``, ``segment``, ``start`` and ``stop``; importing this
package loads nothing but the standard library.
"""

from .record.annotate import frame, is_recording, segment, span, start, stop

__version__ = "0.1.0"
__all__ = ["frame", "is_recording", "segment", "span", "start", "stop", "__version__"]
