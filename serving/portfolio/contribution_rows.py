"""Contributions of accounts to KPIs as arrays, and their sums by KPI and group."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.signals.tolerances import TOLERATED_SHARE
from features.utils.arrays import Bools, Floats, Texts

GROUP_COLUMNS = ("csm", "region", "parent")
"""The groups that an account belongs to without a date; the segment is that of each contribution."""
TEXT_COLUMNS = ("measure", "account_id", "segment")
AMOUNT_COLUMNS = ("numerator", "denominator", "net")
ROW_COLUMNS = (*TEXT_COLUMNS, *AMOUNT_COLUMNS, "overwritten")
"""The columns of `ContributionRows` as a table."""


class CodedTexts(NamedTuple):
    """Texts as places in an array of different texts.

    Parameters
    ----------
    codes : the place of each text in ``names``; -1 for none. Shape (n,).
    names : the different texts. Shape (k,).
    """

    codes: npt.NDArray[np.signedinteger[Any]]
    names: Texts

    @classmethod
    def of(cls, texts: Any) -> CodedTexts:
        """Return texts, of which None and NaN are none."""
        codes, names = pd.factorize(np.asarray(texts, dtype=object))
        return cls(codes.astype(np.int32), np.asarray(names, dtype=object))

    def texts(self) -> Texts:
        """Return the texts, None for none."""
        texts: Texts = np.append(self.names, [None])[self.codes]
        return texts


class KpiSum(NamedTuple):
    """The contributions of a group of accounts to one KPI.

    Parameters
    ----------
    numerator, denominator, net : the sums over the accounts with a value.
    with_value, left_out, accounts, overwritten : the number of accounts with a value, without one, of all, and of those
        whose terms the source has overwritten.
    """

    numerator: float = 0.0
    denominator: float = 0.0
    net: float = 0.0
    with_value: int = 0
    left_out: int = 0
    accounts: int = 0
    overwritten: int = 0

    @property
    def overwritten_terms(self) -> bool:
        """Whether the terms of more than a few accounts are overwritten."""
        return self.overwritten > TOLERATED_SHARE * self.accounts


Sums = Mapping[Any, KpiSum]
"""Sums by the code of the KPI, or by group and code. The group is an empty text for accounts without one."""


@dataclass(frozen=True)
class ContributionRows:
    """The contributions of k accounts to the KPIs of a period, one row per KPI and account.

    Parameters
    ----------
    measure, account, segment : the code of the KPI, the account and its segment. n texts each.
    amounts : numerator, denominator and net (`features.kpi.contributions.COLUMNS`), NaN if unknown. Shape (n, 3).
    overwritten : whether the source has overwritten the terms of the account. Shape (n,).
    groups : groups by the name of a division, for each account of ``account.names``. k texts each.
    """

    measure: CodedTexts
    account: CodedTexts
    segment: CodedTexts
    amounts: Floats
    overwritten: Bools
    groups: Mapping[str, CodedTexts] = field(default_factory=dict)

    @classmethod
    def of(cls, table: pd.DataFrame) -> ContributionRows:
        """Return the rows of a table with `ROW_COLUMNS`; without a segment, it is unknown."""
        segments = table["segment"] if "segment" in table else np.full(len(table), None)
        return cls(
            CodedTexts.of(table["measure"]),
            CodedTexts.of(table["account_id"]),
            CodedTexts.of(segments),
            table[list(AMOUNT_COLUMNS)].to_numpy(dtype=np.float64),
            table["overwritten"].to_numpy(dtype=np.bool_),
        )

    def table(self) -> pd.DataFrame:
        """Return the rows as a table with `ROW_COLUMNS`."""
        texts = (self.measure.texts(), self.account.texts(), self.segment.texts())
        return pd.DataFrame(
            {
                **dict(zip(TEXT_COLUMNS, texts, strict=True)),
                **dict(zip(AMOUNT_COLUMNS, self.amounts.T, strict=True)),
                "overwritten": self.overwritten,
            }
        )

    def __len__(self) -> int:
        return len(self.overwritten)

    @property
    def nbytes(self) -> int:
        """The size in memory, without the texts."""
        arrays = (self.measure.codes, self.account.codes, self.segment.codes, self.amounts, self.overwritten)
        return sum(each.nbytes for each in arrays)

    def take(self, chosen: Bools) -> ContributionRows:
        """Return some of the rows.

        Parameters
        ----------
        chosen : True for these rows. Shape (n,).
        """
        rows = np.flatnonzero(chosen)
        if len(rows) == len(self):
            return self
        return replace(
            self,
            measure=self.measure._replace(codes=self.measure.codes[rows]),
            account=self.account._replace(codes=self.account.codes[rows]),
            segment=self.segment._replace(codes=self.segment.codes[rows]),
            amounts=self.amounts[rows],
            overwritten=self.overwritten[rows],
        )

    def of_measures(self, measures: Collection[str]) -> ContributionRows:
        """Return the rows of some KPIs."""
        wanted = np.array([name in measures for name in self.measure.names], dtype=np.bool_)
        return self.take(wanted[self.measure.codes])

    def with_groups(self, accounts: pd.DataFrame) -> ContributionRows:
        """Return the rows with the groups of their accounts.

        Parameters
        ----------
        accounts : account_id and a column for each division, one row per account.
        """
        once = accounts.drop_duplicates("account_id")
        places = pd.Index(once["account_id"], dtype=object).get_indexer(pd.Index(self.account.names, dtype=object))
        groups = {}
        for name in once.columns.drop("account_id"):
            known = CodedTexts.of([value or None for value in once[name]])
            groups[name] = known._replace(codes=np.append(known.codes, np.int32(-1))[places])
        return replace(self, groups=groups)

    def sums(self, by: str | None = None) -> Sums:
        """Return the sums by KPI, or by group and KPI.

        Parameters
        ----------
        by : the division of the groups: ``segment``, or one of ``groups``.
        """
        codes = self.measure.names.tolist()
        keys = self.measure.codes.astype(np.int64)
        names = [""]
        if by is not None:
            groups = self.segment if by == "segment" else self.groups[by]
            own = groups.codes if by == "segment" else groups.codes[self.account.codes]
            keys += (own.astype(np.int64) + 1) * len(codes)
            names = ["", *groups.names.tolist()]
        size = len(codes) * len(names)
        # pandas adds up with compensation for lost digits, so that large sums are as exact as small ones.
        totals = pd.DataFrame(self.amounts).groupby(keys).sum()
        used = totals.index.to_numpy()
        unknown = np.isnan(self.amounts[:, 0])
        accounts, left_out, overwritten = (
            np.bincount(each, minlength=size)[used] for each in (keys, keys[unknown], keys[self.overwritten])
        )
        columns = (*totals.to_numpy().T, accounts - left_out, left_out, accounts, overwritten)
        found = map(KpiSum, *(column.tolist() for column in columns))
        group, measure = (each.tolist() for each in np.divmod(used, max(len(codes), 1)))
        if by is None:
            return dict(zip((codes[each] for each in measure), found, strict=True))
        pairs = ((names[one], codes[other]) for one, other in zip(group, measure, strict=True))
        return dict(zip(pairs, found, strict=True))
