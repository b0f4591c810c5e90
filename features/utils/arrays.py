"""Type aliases for NumPy arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]
Texts = npt.NDArray[np.object_]
"""Arrays of Python strings."""


def equal_to(values: Texts, value: str | None) -> Bools:
    """Return where texts equal a value, or where there is none.

    Parameters
    ----------
    values : the texts, None where there is none. Shape (n,).
    value : the value; None for none.
    """
    return np.asarray(values == value, dtype=np.bool_)
