"""Features that are unknown for every account, and models that depend too much on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from features.errors import SignalsError
from models.artifacts.bundle import Bundle
from models.targets import Target

if TYPE_CHECKING:
    from features.definitions.feature import Feature

MAX_UNKNOWN_SHARE = 0.5
"""A model is not used if unknown features have more than this share of its gain."""
FEATURES_SHOWN = 5


@dataclass(frozen=True)
class UnknownInputs:
    """The features of a model that are unknown for every account.

    Parameters
    ----------
    share : their share of the model's gain, 0 to 1.
    features : their names, largest gain first, without those that have no gain.
    tables : the tables that they come from, sorted.
    """

    share: float
    features: tuple[str, ...]
    tables: tuple[str, ...]

    @property
    def exceeds_limit(self) -> bool:
        """Whether the model must not be used."""
        return self.share > MAX_UNKNOWN_SHARE


def unknown_inputs(
    bundle: Bundle, is_unknown: Callable[[str], bool], catalogue: Mapping[str, Feature]
) -> UnknownInputs:
    """Find the features of a model that are unknown for every account, according to ``is_unknown``.

    Parameters
    ----------
    bundle : the model.
    is_unknown : whether a feature is unknown for every account.
    catalogue : the features by name.

    Returns
    -------
    UnknownInputs
    """
    lacking = [(gain, name) for name, gain in bundle.gains.items() if gain > 0 and is_unknown(name)]
    ranked = sorted(lacking, key=lambda each: (-each[0], each[1]))
    names = tuple(name for _, name in ranked)
    tables = sorted({catalogue[name].table for name in names if name in catalogue})
    return UnknownInputs(min(sum(gain for gain, _ in ranked), 1.0), names, tuple(tables))


def unknown_in_frame(frame: pd.DataFrame) -> Callable[[str], bool]:
    """Return a function that checks whether a feature has no column in a snapshot or is null in every row."""
    return lambda name: name not in frame.columns or bool(frame[name].isna().all())


def require_inputs(
    bundles: Mapping[Target, Bundle], frame: pd.DataFrame, tables: Sequence[str], catalogue: Mapping[str, Feature]
) -> None:
    """Reject scoring with a model whose gain is mostly in features that are unknown for every account.

    Parameters
    ----------
    frame : the portfolio's snapshot.
    tables : the tables of the signals.

    Raises
    ------
    SignalsError : the message names the missing tables and features.
    """
    for target, bundle in bundles.items():
        lacking = unknown_inputs(bundle, unknown_in_frame(frame), catalogue)
        if lacking.exceeds_limit:
            missing = [table for table in lacking.tables if table not in tables]
            empty = [table for table in lacking.tables if table in tables]
            parts = [f"missing tables: {', '.join(missing)}"] if missing else []
            parts += [f"tables without usable rows or columns: {', '.join(empty)}"] if empty else []
            first = ", ".join(lacking.features[:FEATURES_SHOWN])
            more = (
                f" and {len(lacking.features) - FEATURES_SHOWN:,} more"
                if len(lacking.features) > FEATURES_SHOWN
                else ""
            )
            raise SignalsError(
                f"{lacking.share:.0%} of the gain of the {target} model (version {bundle.manifest.version}) is in "
                f"features that are unknown for every account; {'; '.join(parts)}; features: {first}{more}",
                f"at most {MAX_UNKNOWN_SHARE:.0%}",
                "add the missing tables, or train on these signals: renewcast train SIGNALS (for another "
                "portfolio in a new home: RENEWCAST_HOME=FOLDER)",
            )
