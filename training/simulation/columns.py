"""Records of equally long arrays: one entry per account, or per imagined future of an account."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from training.simulation.calendar import Bools, Ints


@dataclass(frozen=True)
class Columns:
    """Fields are numpy arrays whose first axis is the account. They are never changed in place."""

    def take(self, rows: Ints | Bools) -> Self:
        """The same record for some accounts, in the given order, repeats allowed."""
        return replace(self, **{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def __len__(self) -> int:
        return len(np.asarray(getattr(self, fields(self)[0].name)))
