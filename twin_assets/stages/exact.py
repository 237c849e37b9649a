"""Arrays as text, every bit of them: base64 of little-endian numbers."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin_assets.model import Floats


def exact(array: NDArray[Any], dtype: str = "<f8") -> str:
    """Doubles, or what else is said."""
    return base64.b64encode(np.ascontiguousarray(array, dtype=dtype).tobytes()).decode()


def floats(text: str) -> Floats:
    """Doubles, one dimension."""
    return np.frombuffer(base64.b64decode(text), dtype="<f8").astype(np.float64)


def integers(text: str) -> NDArray[np.int64]:
    """64-bit integers, one dimension."""
    return np.frombuffer(base64.b64decode(text), dtype="<i8").astype(np.int64)
