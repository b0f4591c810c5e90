"""Training rows of the renewal model: the snapshots of each renewal at fixed leads, and its outcome.

The snapshot of a renewal at a lead is the last one of the training grid that is at least that many days before it. The
renewal date is the one known at that snapshot, like all features. The outcome of a renewal is certain two grace periods
after its date.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from features.utils.arrays import Floats, Ints, Objects
from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE
from models.renewals.renewal_model import LEADS, STAGES, Stage
from models.scorer.base import RENEWAL_FEATURE, SHORT_TERM_DAYS, TERM_FEATURE
from models.targets import Target
from training.dataset.design_matrix import Design
from training.dataset.encoding import fit_encoding
from training.dataset.inner_folds import SEARCH_STEP_DAYS
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.origins import require_purged
from training.dataset.target_rows import LabelledSlice, TargetRows
from training.renewals.contracts import ContractBook, to_micros
from training.renewals.outcomes import renewal_outcomes

#: The target whose monotone constraints hold for each stage.
TARGET_OF: dict[Stage, Target] = {"lost": "churn", "expanded": "expansion", "contracted": "churn"}


@dataclass(frozen=True)
class RenewalRows:
    """The snapshots of renewals at the leads, r rows.

    Parameters
    ----------
    index : position of each row in the frame of the labelled snapshots, shape (r,).
    until : days to the renewal, shape (r,).
    arr : ARR before the renewal, shape (r,).
    ends : when the outcome of each row is certain.
    labels : by stage, 0 or 1, NaN if an earlier stage occurred; shape (r,) each. Rows whose ``ends`` is after the end
        of the data have labels too, which must not be used.
    """

    index: Ints
    until: Floats
    arr: Floats
    ends: pd.Series[pd.Timestamp]
    labels: dict[Stage, Floats]

    @classmethod
    def of(cls, prepared: LabelledSnapshots, book: ContractBook) -> RenewalRows:
        """Find the rows and their outcomes.

        Parameters
        ----------
        prepared : the labelled snapshots.
        book : all contracts.

        Returns
        -------
        RenewalRows
        """
        frame, grace = prepared.frame, prepared.grace_days
        until, term, arr = (number_column(frame, name) for name in (RENEWAL_FEATURE, TERM_FEATURE, ARR_FEATURE))
        step = prepared.grid.every_days
        at_lead = np.any([(until >= lead) & (until < lead + step) for lead in LEADS], axis=0)
        index = np.flatnonzero(at_lead & ~(term < SHORT_TERM_DAYS) & (arr > 0)).astype(np.int64)
        as_of = frame["as_of"].iloc[index].reset_index(drop=True)
        codes = book.accounts.get_indexer(pd.Index(frame["account_id"].iloc[index])).astype(np.int64)
        until, arr = until[index], arr[index]
        renewed = renewal_outcomes(book, codes, to_micros(as_of), until, arr, grace)
        stays = ~renewed.left
        labels: dict[Stage, Floats] = {
            "lost": renewed.left.astype(np.float64),
            "expanded": np.where(stays, renewed.grew, np.nan),
            "contracted": np.where(stays & ~renewed.grew, renewed.shrank, np.nan),
        }
        ends = as_of + pd.to_timedelta(until + 2 * grace, unit="D")
        return cls(index, until, arr, ends, {stage: labels[stage] for stage in STAGES})


@dataclass(frozen=True)
class StageRows(TargetRows):
    """The rows of one stage, for `training.estimators.fitted_model.fit_model`.

    Parameters
    ----------
    renewals : the rows of all stages.
    stage : the stage whose labels are used.
    """

    renewals: RenewalRows
    stage: Stage

    @classmethod
    def stage_of(cls, prepared: LabelledSnapshots, renewals: RenewalRows, stage: Stage) -> StageRows:
        """Return the rows of a stage."""
        return cls(prepared, TARGET_OF[stage], {}, LEADS[-1], renewals, stage)

    def known(self, before: datetime) -> Ints:
        """Return the rows with a label whose outcome was certain by ``before``, as positions in ``renewals``."""
        rows = np.isfinite(self.renewals.labels[self.stage]) & (self.renewals.ends <= before).to_numpy()
        return np.flatnonzero(rows).astype(np.int64)

    def accounts_by_outcome(self, rows: Ints) -> tuple[int, int]:
        """Return the number of accounts with and without the outcome among some rows."""
        y, accounts = self.renewals.labels[self.stage][rows], self._accounts(rows)
        return len(set(accounts[y == 1])), len(set(accounts[y == 0]))

    def renewal_counts(self, before: datetime) -> tuple[int, int]:
        """Return the number of renewals whose outcome was certain by ``before``, and of those with the outcome."""
        rows = self.known(before)
        weight = _weights(self._accounts(rows), self.renewals.ends.iloc[rows].reset_index(drop=True))
        return round(float(weight.sum())), round(float(weight @ self.renewals.labels[self.stage][rows]))

    def training_design(self, before: datetime) -> Design:
        """Return the rows whose outcome was certain by ``before``.

        The rows of one renewal together weigh as much as one. Dates are rounded to steps of four weeks, so that a
        search and each member of the ensemble use all rows: there are few of them.

        Raises
        ------
        InsufficientData
            If there are not both outcomes.
        """
        rows, frame = self.known(before), self.prepared.frame
        index = self.renewals.index[rows]
        chosen = frame.iloc[index].reset_index(drop=True)
        encoding = fit_encoding(chosen, self.prepared.catalogue)
        as_of, ends = chosen["as_of"], self.renewals.ends.iloc[rows].reset_index(drop=True)
        require_purged(ends, before)
        step = timedelta(days=SEARCH_STEP_DAYS)
        newest = as_of.max()
        accounts = chosen["account_id"].to_numpy(dtype=object)
        return Design(
            encoding,
            encoding.matrix(chosen),
            self.renewals.labels[self.stage][rows],
            _weights(accounts, ends),
            accounts,
            newest - (newest - as_of) // step * step,
            np.ones(len(rows), dtype=np.bool_),
            index,
            ends,
        )

    def predicted(self, dates: Sequence[datetime]) -> Ints:
        """Return the rows at these dates whose outcome is certain now, as positions in ``renewals``."""
        known = self.known(self.prepared.signals.data_through)
        as_of = self.prepared.frame["as_of"].iloc[self.renewals.index[known]]
        return known[as_of.isin(pd.DatetimeIndex(list(dates))).to_numpy(dtype=bool)]

    def today(self, at: datetime) -> pd.DataFrame:
        """Return no snapshots: a renewal has rows at fixed leads, and most accounts of today are not at one."""
        return self.prepared.frame.iloc[:0]

    def rows_at(self, dates: Sequence[datetime], days: int | None = None) -> LabelledSlice:
        """Return the rows at these dates whose outcome is certain now; ``days`` is not used."""
        rows = self.predicted(dates)
        frame = self.prepared.frame.iloc[self.renewals.index[rows]].reset_index(drop=True)
        return LabelledSlice(frame, self.renewals.labels[self.stage][rows], {})

    def _accounts(self, rows: Ints) -> Objects:
        return self.prepared.frame["account_id"].to_numpy(dtype=object)[self.renewals.index[rows]]

    def newest(self, design: Design) -> pd.DataFrame:
        """Return the snapshots of the newest training rows."""
        rows = design.row_index[(design.as_of == design.as_of.max()).to_numpy()]
        return self.prepared.frame.iloc[rows]


def _weights(accounts: Objects, ends: pd.Series[pd.Timestamp]) -> Floats:
    """Return the weight of each row: 1 over the number of rows of its renewal."""
    renewal = pd.Series(accounts.astype(str)) + " " + ends.dt.strftime("%Y-%m-%d")
    _, codes, counts = np.unique(renewal.to_numpy(dtype=str), return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[codes], dtype=np.float64)
