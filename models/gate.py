"""The gate before any expansion is proposed, and the type that would be easiest.

Each item is met, not met or unknown, from what the snapshot holds. An unhappy account is never proposed for expansion,
whatever the model says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.columns import number_column
from models.peers import Peers
from models.rubric import INSUFFICIENT

MET, NOT_MET, UNKNOWN = "met", "not_met", "unknown"

#: The items, in the order in which they are reported.
ITEMS: tuple[str, ...] = (
    "health_green",
    "adoption_above_segment",
    "nps_8_or_more",
    "executive_relationship",
    "use_case_for_more",
    "budget_authority_known",
)

#: Adoption is the first of these that is known.
ADOPTION: tuple[str, ...] = ("usage.seats_used_share", "usage.features_used_28d")
NPS_AT_LEAST = 8.0
#: More than this share of the seats, or of the plan's included usage, in use points to a need for more.
NEARLY_FULL = 0.8
#: Features used in the last 28 days against before: more than this is a need beyond what is bought.
GROWING_ABOVE = 1.1
#: Goals met or return on spend from here on: the value is proven.
GOALS_MET_FROM = 0.8
ROI_FROM = 1.0

Floats = npt.NDArray[np.float64]
States = npt.NDArray[np.object_]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Gate:
    """The gate for n accounts.

    ``items`` gives "met", "not_met" or "unknown" per item, shape (n,) each, in the order of ITEMS; ``type`` is the
    easiest type of expansion that anything points to (seats, tier, cross-sell, services), or None.
    """

    items: Mapping[str, States]
    type: States

    def ready(self, expansion_band: States) -> Flags:
        """Whether expansion may be proposed: health green, the model's band high (None where it gave none), and no
        item not met. Shape (n,)."""
        closed = np.any([states == NOT_MET for states in self.items.values()], axis=0)
        return np.asarray((self.items["health_green"] == MET) & (expansion_band == "high") & ~closed, dtype=bool)


def gate(frame: pd.DataFrame, health_band: pd.Series[str], peers: Peers, segments: States) -> Gate:
    """Judge every item.

    Parameters
    ----------
    frame : one row per account; a feature that it lacks is unknown.
    health_band : green, yellow, red or insufficient_data, in the frame's order.
    peers : for the segment's average adoption.
    segments : the segment of each account, None where unknown.
    """
    band = health_band.to_numpy(dtype=object)
    full = (number_column(frame, "usage.seats_used_share"), number_column(frame, "usage.limit_used_share"))
    room_known = ~np.isnan(full[0]) | ~np.isnan(full[1])
    wanted = (
        (full[0] > NEARLY_FULL)
        | (full[1] > NEARLY_FULL)
        | (number_column(frame, "company.new_departments_182d") >= 1)
        | (number_column(frame, "company.hiring_182d") >= 1)
    )
    items = {
        "health_green": _state(band == "green", band != INSUFFICIENT),
        "adoption_above_segment": _adoption(frame, peers, segments),
        "nps_8_or_more": _at_least(number_column(frame, "outcomes.nps_last"), NPS_AT_LEAST),
        "executive_relationship": _at_least(number_column(frame, "relationship.executive_sponsors"), 1.0),
        "use_case_for_more": _state(wanted, wanted | room_known),
        "budget_authority_known": _at_least(number_column(frame, "relationship.decision_makers"), 1.0),
    }
    return Gate(items, easiest_type(frame))


def easiest_type(frame: pd.DataFrame) -> States:
    """The easiest type of expansion that a signal points to, shape (n,); None where none does.

    In order of ease: *seats* where the seats are nearly full or the company is hiring; *tier* where the plan's limit
    is nearly reached or the breadth of use grows; *cross-sell* where there is a new department or an acquisition;
    *services* where goals are met or the return is there, so that more help would be welcome.
    """
    pointed = {
        "seats": (number_column(frame, "usage.seats_used_share") > NEARLY_FULL)
        | (number_column(frame, "company.hiring_182d") >= 1),
        "tier": (number_column(frame, "usage.limit_used_share") > NEARLY_FULL)
        | (number_column(frame, "usage.features_used_trend_28d") > GROWING_ABOVE),
        "cross-sell": (number_column(frame, "company.new_departments_182d") >= 1)
        | (number_column(frame, "company.acquisitions_182d") >= 1),
        "services": (number_column(frame, "outcomes.goals_met_share_364d") >= GOALS_MET_FROM)
        | (number_column(frame, "outcomes.roi_last") >= ROI_FROM),
    }
    out = np.full(len(frame), None, dtype=object)
    for name, there in reversed(pointed.items()):
        out[there] = name
    return out


def _adoption(frame: pd.DataFrame, peers: Peers, segments: States) -> States:
    out = np.full(len(frame), UNKNOWN, dtype=object)
    for name in reversed(ADOPTION):
        value, average = number_column(frame, name), peers.typical(name, segments, "mean")
        known = ~np.isnan(value) & ~np.isnan(average)
        out[known] = _state(value > average, known)[known]
    return out


def _at_least(value: Floats, bound: float) -> States:
    return _state(value >= bound, ~np.isnan(value))


def _state(met: Flags, known: Flags) -> States:
    return np.where(~known, UNKNOWN, np.where(met, MET, NOT_MET)).astype(object)
