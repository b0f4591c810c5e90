"""What rules look back on: rows of the weeks before a published snapshot, kept beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.atomic import new_file
from features.catalogue import KEYS
from features.errors import HomeError
from models.rules.judged import RISK

#: Larger files (bytes) are not read.
FILE_LIMIT = 2 * 2**30


def write_earlier(path: Path, past: pd.DataFrame, features: Sequence[str]) -> None:
    """Keep ``features`` and `models.rules.judged.RISK` of earlier rows, whole or not at all.

    Raises
    ------
    HomeError : the place cannot be written.
    """
    instants = pa.array(past[KEYS[1]].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]"))
    columns = {
        KEYS[0]: pa.array(past[KEYS[0]].astype(object), pa.string()),
        KEYS[1]: instants.cast(pa.timestamp("us", tz="UTC")),
    }
    for name in dict.fromkeys((*features, RISK)):
        values = past[name].to_numpy(float) if name in past else np.full(len(past), np.nan)
        columns[name] = pa.array(values, pa.float64(), from_pandas=True)
    with new_file(path) as beside:
        pq.write_table(pa.table(columns), beside, compression="zstd")


def read_earlier(path: Path, as_of: datetime) -> pd.DataFrame | None:
    """The earlier rows at ``path``; None without any.

    Raises
    ------
    HomeError : they cannot be read, or are not of dates before ``as_of``.
    """
    expected, cure = "earlier rows of a portfolio", "score it again: `renewcast score SIGNALS --as-of DATE --out FILE`"
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise HomeError(f"{path} is larger than {FILE_LIMIT:,} bytes", expected, cure)
        frame: pd.DataFrame = pq.read_table(path).to_pandas()
        sound = set(KEYS) <= set(frame.columns) and bool((frame[KEYS[1]] < pd.Timestamp(as_of)).all())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        raise HomeError(
            f"{path} cannot be read ({type(error).__name__})", "earlier rows of a portfolio", cure
        ) from None
    if not sound:
        raise HomeError(f"{path} does not hold rows of earlier dates", expected, cure)
    return frame
