"""Types of NumPy's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
"""An array of numbers, booleans or objects, of any shape."""
Ints = np.ndarray[Any, np.dtype[np.int64]]
