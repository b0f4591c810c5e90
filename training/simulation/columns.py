"""Records of arrays of equal length: one entry per account, or per simulated future of an account."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from features.utils.arrays import Bools, Ints


@dataclass(frozen=True)
class Columns:
    """Base class of records of numpy arrays, whose first axis is the account. Arrays are not changed in place."""

    def take(self, rows: Ints | Bools) -> Self:
        """Select accounts, in the given order; repeats are allowed.

        Parameters
        ----------
        rows : indices or mask of the accounts.
        """
        return replace(self, **{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def __len__(self) -> int:
        return len(np.asarray(getattr(self, fields(self)[0].name)))
