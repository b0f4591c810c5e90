"""Segments by ARR, for comparing accounts and for how they are managed. They are rules in ``segments.toml``."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from models.peer_groups.rule_files import RulePart, Rules, read_rules

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: The feature that determines an account's segment.
ARR_FEATURE = "contract.arr"

#: Minimum comparable accounts; with fewer, the whole portfolio is used.
MINIMUM_COMPARABLE = 20

#: The name of the whole portfolio among the segments.
WHOLE_PORTFOLIO = "all"


class AccountSegment(RulePart):
    """A segment of accounts.

    ``over`` is the annual ARR, in the source's currency, that its accounts exceed (None for the lowest segment);
    ``touch`` is how they are managed; ``accounts_per_csm`` the accounts per CSM; ``health_every_days`` how often their
    health is reviewed; ``reviews_every_days`` how often they have a business review, None for never.
    """

    name: str
    over: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    touch: str
    accounts_per_csm: Annotated[int, Field(gt=0)]
    health_every_days: Annotated[int, Field(gt=0)]
    reviews_every_days: Annotated[int, Field(gt=0, le=182)] | None = None


class SegmentsFile(Rules):
    """The content of ``segments.toml``.

    Renewal talks start ``renewal_talks_days`` before a renewal, and ``renewal_talks_latest_days`` before it at the
    latest.
    """

    renewal_talks_days: Annotated[int, Field(gt=0)]
    renewal_talks_latest_days: Annotated[int, Field(gt=0)]
    segments: Annotated[tuple[AccountSegment, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        names = [segment.name for segment in self.segments]
        if len(set(names)) < len(names) or WHOLE_PORTFOLIO in names:
            raise ValueError(f"every segment needs a unique name other than {WHOLE_PORTFOLIO}")
        bounds = [segment.over for segment in self.segments]
        if bounds[-1] is not None or any(bound is None for bound in bounds[:-1]):
            raise ValueError("every segment except the last needs the key over, and the last must not have it")
        if any(one <= two for one, two in pairwise(bound for bound in bounds if bound is not None)):
            raise ValueError("the largest segment must come first")
        return self


def segments_file() -> SegmentsFile:
    """Read the segments in force.

    Raises
    ------
    RulesError : the file is invalid; the message names the file and the key.
    """
    return read_rules("segments", SegmentsFile)


def segment_names() -> tuple[str, ...]:
    """Return the names of the segments in force, largest first."""
    return tuple(segment.name for segment in segments_file().segments)


def segment_of(arr: npt.ArrayLike) -> npt.NDArray[np.object_]:
    """Return the segment of each account.

    Parameters
    ----------
    arr : the annual ARR of each account in the source's currency; NaN if unknown. Shape (n,).

    Returns
    -------
    array of str or None, shape (n,): None if the ARR is unknown, so that the account is compared with the whole
    portfolio. "25k to 100k" is over 25,000 up to and including 100,000, and so on.
    """
    # Imported here, since reading rubrics and reviews needs no arrays.
    import numpy as np

    values = np.asarray(arr, dtype=np.float64)
    names = np.full(values.shape, None, dtype=object)
    for segment in reversed(segments_file().segments):
        names[values > (-np.inf if segment.over is None else segment.over)] = segment.name
    return names
