"""Segments by ARR: who is comparable with whom, and how each is looked after. They are rules: ``segments.toml``."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from models.peer_groups.rule_files import Part, Rules, read_rules

#: The feature that decides an account's segment.
ARR_FEATURE = "contract.arr"

#: Fewer comparable accounts than this say little: the whole portfolio is taken instead.
MINIMUM_COMPARABLE = 20

#: The name under which the whole portfolio is kept beside the segments.
WHOLE_PORTFOLIO = "all"


class Segment(Part):
    """One segment: the ARR (a year, in the source's currency) that its accounts exceed, None for the lowest; how they
    are looked after; how many accounts a CSM has; every how many days their health is looked at."""

    name: str
    over: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    touch: str
    accounts_per_csm: Annotated[int, Field(gt=0)]
    health_every_days: Annotated[int, Field(gt=0)]


class SegmentsFile(Rules):
    """All that ``segments.toml`` says. Renewal talks start ``renewal_talks_days`` ahead of a renewal, and at the latest
    ``renewal_talks_latest_days`` ahead."""

    renewal_talks_days: Annotated[int, Field(gt=0)]
    renewal_talks_latest_days: Annotated[int, Field(gt=0)]
    segments: Annotated[tuple[Segment, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        names = [segment.name for segment in self.segments]
        if len(set(names)) < len(names) or WHOLE_PORTFOLIO in names:
            raise ValueError(f"every segment needs a name of its own, other than {WHOLE_PORTFOLIO}")
        bounds = [segment.over for segment in self.segments]
        if bounds[-1] is not None or any(bound is None for bound in bounds[:-1]):
            raise ValueError("every segment but the last needs over; the last takes the rest")
        if any(one <= two for one, two in pairwise(bound for bound in bounds if bound is not None)):
            raise ValueError("the largest segment comes first")
        return self


def segments_file() -> SegmentsFile:
    """The segments in force.

    Raises
    ------
    RulesError : names file, key and cure.
    """
    return read_rules("segments", SegmentsFile)


def segment_names() -> tuple[str, ...]:
    """The names of the segments in force, largest first."""
    return tuple(segment.name for segment in segments_file().segments)


def segment_of(arr: npt.ArrayLike) -> npt.NDArray[np.object_]:
    """The segment of each account.

    Parameters
    ----------
    arr : ARR of each account, in the source's currency a year; NaN where unknown. Shape (n,).

    Returns
    -------
    array of str or None, shape (n,): None where the ARR is unknown, so that the account is compared with the
    whole portfolio. "25k to 100k" is over 25,000 up to and including 100,000, and so on.
    """
    values = np.asarray(arr, dtype=np.float64)
    names = np.full(values.shape, None, dtype=object)
    for segment in reversed(segments_file().segments):
        names[values > (-np.inf if segment.over is None else segment.over)] = segment.name
    return names
