"""Sums over windows, from amounts by account and bucket."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.aggregation.account_date_grid import BucketCalendar, Panel, interval_sums
from features.definitions.aggregations import ALL_TIME
from features.utils.arrays import Ints


@dataclass(frozen=True)
class Totals:
    """Amounts by account and bucket, ready for sums over any window.

    Parameters
    ----------
    panel : the accounts and cells.
    low : the first bucket.
    running : running sums before each bucket from ``low`` on, of the rows known in the bucket of their event, shape
        (accounts, b + 1).
    late : account, kb (bucket when known), ob (bucket of the event) and amount of the rows known later.
    """

    panel: Panel
    low: int
    running: Ints
    late: tuple[Ints, Ints, Ints, Ints]

    @classmethod
    def of(cls, account: Ints, known: Ints, happened: Ints, amount: Ints, panel: Panel) -> Totals:
        """Add up rows.

        Parameters
        ----------
        account, known, happened, amount : the account's position in the panel, bucket when known, bucket of the event,
            and amount; shape (n,) each.
        panel : the accounts and dates of the cells.

        Returns
        -------
        Totals
        """
        used = amount != 0
        account, known, happened, amount = account[used], known[used], happened[used], amount[used]
        low = int(happened.min()) if len(happened) else 0
        buckets = int(happened.max()) - low + 1 if len(happened) else 0
        table = np.zeros(len(panel.accounts) * (buckets + 1), dtype=np.int64)
        late = known != happened
        np.add.at(table, account[~late] * (buckets + 1) + happened[~late] - low + 1, amount[~late])
        running: Ints = np.cumsum(table.reshape(-1, buckets + 1), axis=1)
        return cls(panel, low, running, (account[late], known[late], happened[late], amount[late]))

    def over(self, calendar: BucketCalendar, days: int, ago: int) -> Ints:
        """Return the sum over a window.

        Parameters
        ----------
        calendar : the buckets of the dates.
        days, ago : length of the window in days (0: all rows), and how many days before the date it ends.

        Returns
        -------
        array of shape (cells,)
            The sums.
        """
        ends, last = calendar.ends(ago) - self.low + 1, self.running.shape[1] - 1
        total = self.running[:, np.clip(ends, 0, last)]
        if days != ALL_TIME:
            total = total - self.running[:, np.clip(ends - days // calendar.width, 0, last)]
        total = total.ravel()[self.panel.cells]
        account, known, happened, amount = self.late
        if not len(account):
            return total
        opens, closes = calendar.date(known, ago), calendar.closing_date(happened, days, ago)
        return total + interval_sums(self.panel, account, opens, closes, amount)
