"""Peers: the distribution of each feature over comparable accounts, for comparing a single account.

It is stored as a few quantiles per feature, over the whole portfolio and per ARR segment. No account can be recovered
from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE, MINIMUM_COMPARABLE, WHOLE_PORTFOLIO, segment_names, segment_of

#: The stored quantile levels: 0, 0.05, ... 1.
LEVELS: npt.NDArray[np.float64] = np.linspace(0.0, 1.0, 21)


@dataclass(frozen=True)
class Spread:
    """The distribution of one feature over one group of accounts.

    ``known`` accounts have a value; ``mean`` is their mean; ``quantiles`` are their quantiles at LEVELS, ascending.
    """

    known: int
    mean: float
    quantiles: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median, in the unit of the feature."""
        return self.quantiles[len(self.quantiles) // 2]

    def percentile(self, value: float) -> float:
        """Return the percentile of a value, 0 to 100; NaN for NaN.

        It is interpolated linearly between quantiles, the middle of a range of equal quantiles, and 0 or 100 outside.
        """
        if np.isnan(value):
            return float("nan")
        quantiles = np.asarray(self.quantiles)
        left = int(np.searchsorted(quantiles, value, side="left"))
        right = int(np.searchsorted(quantiles, value, side="right"))
        if left < right:
            return float(100.0 * (LEVELS[left] + LEVELS[right - 1]) / 2.0)
        return float(100.0 * np.interp(value, quantiles, LEVELS))


@dataclass(frozen=True)
class Peers:
    """A portfolio at one as_of, as distributions by group and feature."""

    accounts: Mapping[str, int]
    spreads: Mapping[str, Mapping[str, Spread]]

    @classmethod
    def of(cls, frame: pd.DataFrame, features: Iterable[str]) -> Self:
        """Summarize a portfolio.

        Parameters
        ----------
        frame : one row per account at one as_of, with ``contract.arr`` for the segments; without it there is only the
            whole portfolio.
        features : the numeric features to include; those without any value in the frame are left out.
        """
        segments = segment_of(number_column(frame, ARR_FEATURE))
        wanted = [name for name in features if name in frame]
        members = {WHOLE_PORTFOLIO: np.ones(len(frame), bool)} | {group: segments == group for group in segment_names()}
        table = np.array([number_column(frame, name) for name in wanted]).reshape(len(wanted), len(frame))
        table[~np.isfinite(table)] = np.nan
        spreads = {group: dict(_spreads(wanted, table[:, rows])) for group, rows in members.items()}
        return cls({group: int(members[group].sum()) for group in members}, spreads)

    def spread(self, feature: str, segment: str | None) -> Spread | None:
        """Return the distribution of a feature over comparable accounts; None if no account has a value.

        Comparable accounts are those of the segment if at least MINIMUM_COMPARABLE of them have a value, else the whole
        portfolio.
        """
        if segment is not None:
            own = self.spreads.get(segment, {}).get(feature)
            if own is not None and own.known >= MINIMUM_COMPARABLE:
                return own
        return self.spreads[WHOLE_PORTFOLIO].get(feature)

    def percentile(self, feature: str, values: npt.ArrayLike, segments: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the percentile of each account's value among comparable accounts, 0 to 100.

        Parameters
        ----------
        feature : the name of the feature; without a distribution every percentile is NaN.
        values, segments : the accounts' values (NaN if unknown) and segments (None if unknown), shape (n,).
        """
        x = np.asarray(values, dtype=np.float64)
        spreads = (self.spread(feature, segment) for segment in segments)
        return np.array(
            [np.nan if s is None else s.percentile(v) for s, v in zip(spreads, x, strict=True)], dtype=float
        )

    def typical(
        self, feature: str, segments: npt.NDArray[Any], what: Literal["mean", "median"]
    ) -> npt.NDArray[np.float64]:
        """Return the mean or median of each account's comparable accounts, shape (n,); NaN if no account has a value.

        ``segments`` is as in `percentile`.

        Parameters
        ----------
        feature : the feature.
        segments : the segment of each account, as in `percentile`.
        what : ``mean`` or ``median``.

        Returns
        -------
        array of shape (n,)
        """
        out = np.full(len(segments), np.nan)
        for segment in (None, *(group for group in self.spreads if group != WHOLE_PORTFOLIO)):
            spread = self.spread(feature, segment)
            if spread is not None:
                out[segments == segment] = spread.mean if what == "mean" else spread.median
        return out

    def log_spreads(self, features: Iterable[str]) -> dict[str, float]:
        """Return the standard deviation of the signed logarithm of each feature over the whole portfolio.

        It is computed from the quantiles, and 0 for a feature without any value.
        """
        spreads = self.spreads[WHOLE_PORTFOLIO]
        quantiles = {name: np.asarray(spreads[name].quantiles) if name in spreads else np.zeros(1) for name in features}
        return {name: float(np.std(np.sign(q) * np.log1p(np.abs(q)))) for name, q in quantiles.items()}

    def to_json(self) -> dict[str, Any]:
        """Return plain data for ``schema.json``."""
        return {
            "levels": [float(level) for level in LEVELS],
            "groups": {
                group: {
                    "accounts": self.accounts[group],
                    "features": {
                        name: {"known": s.known, "mean": s.mean, "quantiles": list(s.quantiles)}
                        for name, s in self.spreads[group].items()
                    },
                }
                for group in self.spreads
            },
        }

    @classmethod
    def from_json(cls, stored: Any) -> Self:
        """Read the output of `to_json`.

        Raises
        ------
        ValueError : the content is invalid; the message names the problem.
        """
        try:
            if not np.allclose(stored["levels"], LEVELS, rtol=0.0, atol=1e-12):
                raise ValueError("other quantile levels")
            groups = dict(stored["groups"])
            _ = groups[WHOLE_PORTFOLIO]
            spreads = {
                group: {
                    name: Spread(int(s["known"]), float(s["mean"]), tuple(float(q) for q in s["quantiles"]))
                    for name, s in content["features"].items()
                }
                for group, content in groups.items()
            }
            accounts = {group: int(content["accounts"]) for group, content in groups.items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"something is missing or has the wrong type ({type(error).__name__}: {error})") from error
        for group, content in spreads.items():
            for name, spread in content.items():
                if len(spread.quantiles) != len(LEVELS) or list(spread.quantiles) != sorted(spread.quantiles):
                    raise ValueError(
                        f"the quantiles of {name} in group {group} are not {len(LEVELS)} ascending numbers"
                    )
        return cls(accounts, spreads)


def _spreads(names: Sequence[str], values: npt.NDArray[np.float64]) -> Iterator[tuple[str, Spread]]:
    """Yield the distribution of each name's row of ``values`` (NaN if unknown), without names that have no value."""
    # Sorted, so that nothing depends on the order of the accounts; NaN comes last.
    values = np.sort(values, axis=1)
    counts = np.isfinite(values).sum(axis=1)
    rows_with_values = np.flatnonzero(counts)
    # Vectorized equivalent of `numpy.quantile` with its "linear" method.
    position = LEVELS * (counts[rows_with_values, None] - 1)
    below = position.astype(np.int64)
    share = position - below
    low = values[rows_with_values[:, None], below]
    high = values[rows_with_values[:, None], np.minimum(below + 1, counts[rows_with_values, None] - 1)]
    between = np.where(share < 0.5, low + (high - low) * share, high - (high - low) * (1 - share))
    quantiles = np.maximum.accumulate(between, axis=1).tolist()
    for row, row_quantiles in zip(rows_with_values.tolist(), quantiles, strict=True):
        mean = float(values[row, : counts[row]].mean())
        yield names[row], Spread(int(counts[row]), mean, tuple(row_quantiles))
