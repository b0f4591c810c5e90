"""Percentiles among comparable accounts: of the segment, at the date, or among peers for accounts that come alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.columns import number_column
from models.peers import Peers
from models.percentiles import percentile_among_comparable
from models.segments import ARR_FEATURE, segment_of


@dataclass(frozen=True)
class Comparable:
    """The accounts of some rows, and whom they are compared with.

    Parameters
    ----------
    frame : rows of accounts with ``as_of`` and the features. Rows of one ``as_of`` are taken for a whole portfolio and
        compared with each other, each ``as_of`` apart.
    peers : what to compare with instead, for accounts that come alone.
    """

    frame: pd.DataFrame
    peers: Peers | None = None

    @cached_property
    def segments(self) -> npt.NDArray[np.object_]:
        """The segment of each row, None unknown, shape (n,)."""
        return segment_of(number_column(self.frame, ARR_FEATURE))

    @cached_property
    def _places(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        codes, _ = pd.factorize(self.segments)
        return pd.factorize(self.frame["as_of"])[0].astype(np.int64), codes.astype(np.int64)

    def percentile(self, feature: str) -> npt.NDArray[np.float64]:
        """The percentile of each row's value, 0 to 100, NaN unknown, shape (n,): see
        `models.percentiles.percentile_among_comparable` and `models.peers.Peers.percentile`."""
        x = number_column(self.frame, feature)
        if self.peers is not None:
            return self.peers.percentile(feature, x, self.segments)
        return percentile_among_comparable(x, *self._places)
