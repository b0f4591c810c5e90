"""Distinct counts of few keys: each key is a bit, and a window combines the bits of its buckets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.aggregation.account_date_grid import BucketCalendar, Panel
from features.definitions.aggregations import ALL_TIME
from features.utils.arrays import Ints

COMMON_LAG_ROWS = 50
"""A lag is common if more than one in this many rows has it."""


@dataclass(frozen=True)
class KeyBitsets:
    """Keys as bits by account and bucket, ready to be counted over any window.

    Parameters
    ----------
    by_lag : for each common lag (in buckets) between an event and the time when it became known, the bits by account
        and bucket, shape (accounts, b), from bucket ``low`` to the last one that ends before the last date.
    late : account, kb (bucket when known), ob (bucket of the event) and bits of the rows with a rare lag.
    """

    calendar: BucketCalendar
    panel: Panel
    low: int
    by_lag: dict[int, Ints]
    late: tuple[Ints, Ints, Ints, Ints]

    @classmethod
    def of(
        cls, account: Ints, known: Ints, happened: Ints, bits: Ints, calendar: BucketCalendar, panel: Panel
    ) -> KeyBitsets:
        """Combine the keys of rows.

        Parameters
        ----------
        account, known, happened, bits : the account's position in the panel, bucket when known, bucket of the event,
            and keys as bits; shape (n,) each.
        calendar : the buckets of the dates.
        panel : the accounts and dates of the cells.

        Returns
        -------
        KeyBitsets
        """
        last = int(calendar.ends(0)[-1])
        used = (bits != 0) & (happened <= last)
        account, known, happened, bits = account[used], known[used], happened[used], bits[used]
        low = int(happened.min()) if len(happened) else last
        lags, counts = np.unique(known - happened, return_counts=True)
        common = [int(lag) for lag in lags[counts * COMMON_LAG_ROWS > len(account)]]
        by_lag, wide = {}, last - low + 1
        for lag in common:
            rows = known - happened == lag
            table = np.zeros(len(panel.accounts) * wide, dtype=np.int64)
            np.bitwise_or.at(table, account[rows] * wide + happened[rows] - low, bits[rows])
            by_lag[lag] = table.reshape(-1, wide)
        rare = ~np.isin(known - happened, common)
        return cls(calendar, panel, low, by_lag, (account[rare], known[rare], happened[rare], bits[rare]))

    def over(self, days: int, ago: int) -> Ints:
        """Count the keys in a window.

        Parameters
        ----------
        days, ago : length of the window in days (0: all rows), and how many days before the date it ends.

        Returns
        -------
        array of shape (cells,)
            The numbers of keys.
        """
        accounts, dates = self.panel.shape
        bits_at_date = np.zeros((accounts, dates), dtype=np.int64)
        ends = self.calendar.ends(ago) - self.low
        for lag, table in self.by_lag.items():
            length = table.shape[1] if days == ALL_TIME else days // self.calendar.width - lag
            if length > 0:
                in_window = _rolling_or(table, min(length, table.shape[1]))
                at = ends - lag
                # After the last bucket nothing is known yet; before the first bucket there are no rows.
                bits_at_date |= np.where(at < 0, 0, in_window[:, np.clip(at, 0, table.shape[1] - 1)])
        account, known, happened, bits = self.late
        flat, opens = bits_at_date.ravel(), self.calendar.date(known, ago)
        closes = self.calendar.closing_date(happened, days, ago)
        while (open_rows := opens < closes).any():
            account, opens, closes, bits = account[open_rows], opens[open_rows], closes[open_rows], bits[open_rows]
            np.bitwise_or.at(flat, account * dates + opens, bits)
            opens = opens + 1
        return np.bitwise_count(flat[self.panel.cells]).astype(np.int64)


def _rolling_or(table: Ints, length: int) -> Ints:
    """Combine the bits of the last ``length`` columns up to each column."""
    bits_at_date, done = table.copy(), 1
    while done < length:
        step = min(done, length - done)
        bits_at_date[:, step:] |= bits_at_date[:, :-step].copy()
        done += step
    return bits_at_date
