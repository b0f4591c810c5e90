"""Rows as a dataset input of an MLflow run: name, digest, source and columns, never values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.utils.arrays import Floats, Objects
from features.utils.dates import to_iso

TEXT_KINDS = ("category",)


@dataclass(frozen=True, kw_only=True)
class DatasetRows:
    """A description of rows that were used in a run.

    Parameters
    ----------
    name : for people.
    context : what they were used for, for example ``training``.
    origin : the address of the signals, without passwords.
    digest : changes with the rows.
    columns : the kind of each column, ``number`` or ``category``.
    rows, accounts, rows_with_outcome : their number.
    first, last : the first and the last date (UTC).
    """

    name: str
    context: str
    origin: str
    digest: str
    columns: Mapping[str, str]
    rows: int
    accounts: int
    rows_with_outcome: int
    first: pd.Timestamp
    last: pd.Timestamp

    @classmethod
    def of(
        cls,
        name: str,
        context: str,
        origin: str,
        columns: Mapping[str, str],
        accounts: Objects,
        as_of: pd.Series[pd.Timestamp],
        y: Floats,
        *matrices: Floats,
    ) -> DatasetRows:
        """Describe rows.

        Parameters
        ----------
        name, context, origin, columns : as in the class.
        accounts, as_of, y : account, date and label of each of n rows.
        *matrices : further values that the digest depends on, n rows each.
        """
        return cls(
            name=name,
            context=context,
            origin=origin,
            digest=rows_digest(accounts, as_of, y, *matrices),
            columns=columns,
            rows=len(y),
            accounts=len(set(accounts)),
            rows_with_outcome=int(y.sum()),
            first=as_of.min(),
            last=as_of.max(),
        )

    @property
    def profile(self) -> dict[str, Any]:
        """The numbers of rows, and the dates, as MLflow's pages show them."""
        counts = {"num_rows": self.rows, "accounts": self.accounts, "rows_with_outcome": self.rows_with_outcome}
        return counts | {"first": to_iso(self.first.to_pydatetime()), "last": to_iso(self.last.to_pydatetime())}


def rows_digest(accounts: Objects, as_of: pd.Series[pd.Timestamp], *values: Floats) -> str:
    """Return a digest of rows, 16 hexadecimal characters.

    Parameters
    ----------
    accounts, as_of : account and date of each of n rows.
    *values : numbers of the rows, shape (n,) or (n, columns).

    Returns
    -------
    str
    """
    digest = blake2b(digest_size=8)
    digest.update("\0".join(map(str, accounts)).encode())
    digest.update(as_of.astype("int64").to_numpy().tobytes())
    for value in values:
        digest.update(np.ascontiguousarray(value, dtype=np.float64).data)
    return digest.hexdigest()


def dataset_of(rows: DatasetRows) -> Any:
    """Return the rows as an ``mlflow.data.dataset.Dataset``."""
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.types.schema import ColSpec, Schema

    class _Rows(MetaDataset):
        @property
        def profile(self) -> dict[str, Any]:
            return rows.profile

        def to_dict(self) -> dict[str, str]:
            return {**super().to_dict(), "profile": json.dumps(self.profile)}

    columns: list[Any] = [
        ColSpec("string" if kind in TEXT_KINDS else "double", name, required=False)
        for name, kind in rows.columns.items()
    ]
    return _Rows(_source(rows.origin), rows.name, rows.digest, Schema(columns))


def _source(origin: str) -> Any:
    """Return the address as MLflow's source: a file, an object store, a web address, or the text of a database's."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.dataset_source_registry import resolve_dataset_source
    from mlflow.exceptions import MlflowException

    if "://" not in origin:
        path = Path(origin).absolute()
        return resolve_dataset_source(str(path) if path.exists() else origin)
    try:
        return resolve_dataset_source(origin)
    except MlflowException:
        return CodeDatasetSource({SOURCE_ADDRESS: origin})


SOURCE_ADDRESS = "address"
"""Key of the address of a source for which MLflow has no type, such as a database."""
