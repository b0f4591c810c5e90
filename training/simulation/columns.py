"""Records of arrays of equal length: one entry per account, or per simulated future of an account."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from features.utils.arrays import Bools, Ints


@dataclass(frozen=True)
class Columns:
    """Base class of records of numpy arrays, whose first axis is the account. Arrays are not changed in place.

    Other fields, such as the market of the accounts, are the same for all accounts.
    """

    def take(self, rows: Ints | Bools) -> Self:
        """Select accounts, in the given order; repeats are allowed.

        Parameters
        ----------
        rows : indices or mask of the accounts.
        """
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(
            self, **{name: column[rows] for name, column in columns.items() if isinstance(column, np.ndarray)}
        )

    def __len__(self) -> int:
        return len(np.asarray(getattr(self, fields(self)[0].name)))
