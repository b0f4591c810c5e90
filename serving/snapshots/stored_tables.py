"""Reading of the tables of a published snapshot, which are Parquet files next to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from features.errors import HomeError

#: Larger files (bytes) are not read.
FILE_LIMIT = 2 * 2**30
SCORE_AGAIN = "score it again: renewcast score SIGNALS --as-of DATE --out FILE"


@contextmanager
def stored_table(path: Path, published: bool = False) -> Iterator[BinaryIO]:
    """Open a stored table. What fails while it is open is reported as an error of the file.

    Parameters
    ----------
    path : the file.
    published : whether only `renewcast score --publish` writes it.

    Yields
    ------
    The open file, to read as Parquet.

    Raises
    ------
    FileNotFoundError : there is no file.
    HomeError : it is too large, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > FILE_LIMIT:
                raise unusable_file(path, f"it is larger than {FILE_LIMIT:,} bytes", published)
            yield file
    except FileNotFoundError:
        raise
    # The reasons are left out, since they can repeat values.
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        why = f"it cannot be read as Parquet ({type(error).__name__})"
        raise unusable_file(path, why, published) from None


def unusable_file(path: Path, why: str, published: bool = False, what: str = "file") -> HomeError:
    """Return the error for a stored file that cannot be used.

    Parameters
    ----------
    path : the file.
    why : what is wrong with it.
    published : whether only `renewcast score --publish` writes it.
    what : file, or document.
    """
    flag = " --publish" if published else ""
    return HomeError(
        f"{path} cannot be used: {why}", f"a {what} written by `renewcast score{flag}`", SCORE_AGAIN + flag
    )
