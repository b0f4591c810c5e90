"""Segments by ARR: who is comparable with whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: The feature that decides an account's segment.
ARR_FEATURE = "contract.arr"

#: Fewer comparable accounts than this say little: the whole portfolio is taken instead.
MINIMUM_COMPARABLE = 20

#: The name under which the whole portfolio is kept beside the segments.
WHOLE_PORTFOLIO = "all"


@dataclass(frozen=True)
class Segment:
    """One segment: its name and the ARR (a year, in the source's currency) that its accounts exceed."""

    name: str
    over: float


#: Largest first. "25k to 100k" is over 25,000 up to and including 100,000, and so on; the lowest takes the rest.
SEGMENTS: tuple[Segment, ...] = (
    Segment("enterprise", 100_000.0),
    Segment("mid-market", 25_000.0),
    Segment("SMB", 5_000.0),
    Segment("self-serve", -np.inf),
)
SEGMENT_NAMES: tuple[str, ...] = tuple(segment.name for segment in SEGMENTS)


def segment_of(arr: npt.ArrayLike) -> npt.NDArray[np.object_]:
    """The segment of each account.

    Parameters
    ----------
    arr : ARR of each account, in the source's currency a year; NaN where unknown. Shape (n,).

    Returns
    -------
    array of str or None, shape (n,): None where the ARR is unknown, so that the account is compared with the
    whole portfolio.
    """
    values = np.asarray(arr, dtype=np.float64)
    names = np.full(values.shape, None, dtype=object)
    for segment in reversed(SEGMENTS):
        names[values > segment.over] = segment.name
    return names
