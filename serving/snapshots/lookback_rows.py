"""Feature rows of the weeks before a published snapshot, which the rules look back on. Stored next to the snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from features.catalogue.catalogue import KEYS
from models.predictions.table_export import write_frame
from models.rules.evaluate import RISK_COLUMN
from serving.snapshots.stored_tables import stored_table, unusable_file


def write_lookback(path: Path, past: pd.DataFrame, features: Sequence[str]) -> None:
    """Write ``features`` and `models.rules.evaluate.RISK_COLUMN` of earlier rows atomically.

    Parameters
    ----------
    path : the file.
    past : the earlier rows.
    features : the features to write.

    Raises
    ------
    HomeError : the path cannot be written.
    """
    columns = dict.fromkeys((*KEYS, *features, RISK_COLUMN))
    write_frame(pd.DataFrame({name: past.get(name, np.nan) for name in columns}), path)


def read_lookback(path: Path, as_of: datetime) -> pd.DataFrame | None:
    """Read earlier rows.

    Parameters
    ----------
    path : the file.
    as_of : the date of the snapshot.

    Returns
    -------
    DataFrame or None
        None if there is no file.

    Raises
    ------
    HomeError : they cannot be read, or have dates at or after ``as_of``.
    """
    try:
        with stored_table(path) as file:
            frame: pd.DataFrame = pq.read_table(file).to_pandas()
            valid = set(KEYS) <= set(frame.columns) and bool((frame[KEYS[1]] < pd.Timestamp(as_of)).all())
    except FileNotFoundError:
        return None
    if not valid:
        raise unusable_file(path, "it does not contain rows of earlier dates")
    return frame
