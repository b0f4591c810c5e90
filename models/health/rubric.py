"""Rubrics: hand-set weights that turn signals into a health score that a person can check by adding up.

The rules follow customer-success practice and are in TOML files in ``rubrics/``; this module applies them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.utils.arrays import Bools, Floats, Texts
from models.health.rubric_names import DEFAULT_RUBRIC
from models.health.rubric_schema import (
    GradeStep,
    PercentileSignal,
    RubricError,
    RubricFile,
    RubricSignal,
    ScaleSignal,
    StepsSignal,
    parse_rubric,
)
from models.peer_groups.frame_columns import number_column
from models.peer_groups.peers import Peers
from models.peer_groups.percentiles import ComparableAccounts
from models.peer_groups.rule_files import custom_rules_folder, read_rules_text

if TYPE_CHECKING:
    from features.definitions.feature import Feature

RUBRICS = Path(__file__).parents[1] / "rubrics"


#: The band of an account without enough data for a score.
INSUFFICIENT = "insufficient_data"


@dataclass(frozen=True)
class Rubric:
    """A validated rubric.

    ``text`` is its TOML, as stored in a bundle; ``learned`` holds the learned weights of its dimensions, which sum to
    100, if the file asks for learned weights and there is evidence.
    """

    rules: RubricFile
    text: str
    learned: Mapping[str, float] | None = None

    @property
    def name(self) -> str:
        """Its name, such as "five-dimensions"."""
        return self.rules.name

    @property
    def version(self) -> str:
        """Its version, such as "2026Q3"."""
        return self.rules.version

    @cached_property
    def signals(self) -> tuple[tuple[str, RubricSignal], ...]:
        """Every signal with the name of its dimension, in the order of the file."""
        return tuple((dimension.name, signal) for dimension in self.rules.dimensions for signal in dimension.signals)

    def weights(self, segment: str | None = None) -> Floats:
        """Return the weight of each signal for accounts of a segment, shape (signals,), summing to 100."""
        profile = next((p.weights for p in self.rules.profiles if segment in p.segments), None)
        own = profile or self.learned or {}
        return np.array(
            [
                own.get(dimension.name, dimension.weight)
                * signal.weight
                / sum(each.weight for each in dimension.signals)
                for dimension in self.rules.dimensions
                for signal in dimension.signals
            ]
        )

    def score(self, frame: pd.DataFrame, peers: Peers | None = None) -> HealthScores:
        """Score every row.

        Parameters
        ----------
        frame : rows of accounts with ``as_of`` and the features; a missing feature is unknown. The rows of each
            ``as_of`` are treated as a whole portfolio and compared with each other.
        peers : the accounts to compare with instead, for a single account.

        Returns
        -------
        HealthScores
            In the order of the frame's rows.
        """
        comparable = ComparableAccounts(frame, peers)
        values = np.empty((len(frame), len(self.signals)))
        points = np.empty_like(values)
        for j, (_, signal) in enumerate(self.signals):
            values[:, j] = x = number_column(frame, signal.feature)
            if isinstance(signal, StepsSignal):
                points[:, j] = _step_points(signal, x)
            elif isinstance(signal, ScaleSignal):
                points[:, j] = _tenths(100.0 * np.clip((x - signal.worst) / (signal.best - signal.worst), 0.0, 1.0))
            else:
                percentile = comparable.percentile(signal.feature)
                place = percentile if signal.better == "higher" else 100.0 - percentile
                points[:, j] = _tenths(place) if signal.green_above is None else place
        base = np.tile(self.weights(), (len(frame), 1))
        for segment in {name for profile in self.rules.profiles for name in profile.segments}:
            base[comparable.segments == segment] = self.weights(segment)
        return HealthScores(self, frame.index, values, points, base)


@dataclass(frozen=True)
class HealthScores:
    """The scores of n accounts, in the order of the scored rows.

    Parameters
    ----------
    values : the value of each signal in its unit; NaN if unknown. Shape (n, signals).
    points : the points of each signal, 0 to 100; NaN without data. Shape (n, signals).
    base : the weight of each signal if all had data; each row sums to 100. Shape (n, signals).
    """

    rubric: Rubric
    index: pd.Index
    values: Floats
    points: Floats
    base: Floats

    def of(self, rows: slice) -> HealthScores:
        """Return the scores of some rows, with a new index from 0."""
        points = self.points[rows]
        return HealthScores(self.rubric, pd.RangeIndex(len(points)), self.values[rows], points, self.base[rows])

    @cached_property
    def weights(self) -> Floats:
        """The weight of each signal after redistributing the weights of signals without data, shape (n, signals).

        Weights are redistributed proportionally within a dimension first, then from dimensions without data to the
        others. A row sums to 100, or to 0 if nothing is known.
        """
        known = ~np.isnan(self.points)
        out = np.where(known, self.base, 0.0)
        covered = np.zeros(len(out))
        for _, columns in self._dimensions():
            weight, available = self.base[:, columns].sum(axis=1), out[:, columns].sum(axis=1)
            out[:, columns] *= np.divide(weight, available, out=np.zeros_like(available), where=available > 0)[:, None]
            covered += np.where(available > 0, weight, 0.0)
        return out * np.divide(100.0, covered, out=np.zeros_like(covered), where=covered > 0)[:, None]

    @cached_property
    def coverage(self) -> pd.Series[float]:
        """The share of the rubric's weight that had data, 0 to 1."""
        share = (~np.isnan(self.points) * self.base).sum(axis=1) / 100.0
        return pd.Series(np.round(share, 6), index=self.index, name="coverage")

    @cached_property
    def score(self) -> pd.Series[float]:
        """The score, 0 to 100, higher is better, rounded to one decimal; NaN if the coverage is too low."""
        total = np.zeros(len(self.points))
        for j in range(self.points.shape[1]):
            total += self.weights[:, j] * np.nan_to_num(self.points[:, j]) / 100.0
        coverage = self.coverage.to_numpy()
        enough = (coverage > 0) & (coverage >= self.rubric.rules.minimum_coverage)
        return pd.Series(np.where(enough, np.round(total, 1), np.nan), index=self.index, name="score")

    @cached_property
    def band(self) -> pd.Series[str]:
        """The band of the rounded score: green, yellow, red, or "insufficient_data"."""
        bands = score_bands(self.rubric.rules, np.asarray(self.score, dtype=np.float64))
        return pd.Series(bands, index=self.index, name="band", dtype=object)

    @cached_property
    def dimensions(self) -> pd.DataFrame:
        """The points of each dimension, 0 to 100, also of dimensions without weight. Shape (n, dimensions).

        Points are NaN if none of the dimension's signals has data.
        """
        columns = {}
        own = np.array([signal.weight for _, signal in self.rubric.signals])
        for name, at in self._dimensions():
            weight = np.where(np.isnan(self.points[:, at]), 0.0, own[at])
            there = weight.sum(axis=1)
            total = (weight * np.nan_to_num(self.points[:, at])).sum(axis=1)
            columns[name] = np.divide(total, there, out=np.full_like(there, np.nan), where=there > 0)
        return pd.DataFrame(columns, index=self.index)

    @cached_property
    def dimension_names(self) -> tuple[str, ...]:
        """The names of the dimensions."""
        return tuple(str(name) for name in self.dimensions)

    @cached_property
    def dimension_points(self) -> Floats:
        """`dimensions` as an array. Shape (n, dimensions)."""
        return self.dimensions.to_numpy()

    def breakdown(self, row: int) -> pd.DataFrame:
        """Return the calculation of one account's score, with one row per signal.

        The columns are dimension, signal, value, grade, points, weight (after redistribution) and adds (weight * points
        / 100). The column ``adds`` sums to the score. ``row`` is the position of the account, from 0.
        """
        points, weights = self.points[row], self.weights[row]
        return pd.DataFrame(
            {
                "dimension": [dimension for dimension, _ in self.rubric.signals],
                "signal": [signal.feature for _, signal in self.rubric.signals],
                "value": self.values[row],
                "grade": [
                    _grade(signal, value, earned)
                    for (_, signal), value, earned in zip(self.rubric.signals, self.values[row], points, strict=True)
                ],
                "points": points,
                "weight": weights,
                "adds": weights * np.nan_to_num(points) / 100.0,
            }
        )

    def lowering(self, row: int, limit: int, without: Collection[str] = ()) -> list[tuple[str, float]]:
        """Return the signals that lower one account's score most, each with its value, the largest effect first.

        Parameters
        ----------
        row : the position of the account, from 0.
        limit : the maximum number of signals.
        without : features to leave out.
        """
        lost = self.weights[row] * np.where(np.isnan(self.points[row]), 0.0, 100.0 - self.points[row])
        order = [int(j) for j in np.argsort(-lost, kind="stable") if lost[j] > 0]
        names = [(self.rubric.signals[j][1].feature, float(self.values[row, j])) for j in order]
        return [each for each in names if each[0] not in without][:limit]

    def _dimensions(self) -> list[tuple[str, slice]]:
        out, start = [], 0
        for dimension in self.rubric.rules.dimensions:
            out.append((dimension.name, slice(start, start + len(dimension.signals))))
            start += len(dimension.signals)
        return out


def score_bands(rules: RubricFile, score: Floats) -> Texts:
    """Return the band of each score: green, yellow, red, or "insufficient_data" for NaN.

    Parameters
    ----------
    rules : the rubric.
    score : scores, 0 to 100. Shape (n,).
    """
    names = np.full(len(score), INSUFFICIENT, dtype=object)
    bands = rules.bands
    for name, begins in (("red", bands.red), ("yellow", bands.yellow), ("green", bands.green)):
        names[score >= begins] = name
    return names


def rubric_files() -> dict[str, Path]:
    """Return the files of the shipped rubrics and of the deployment's own, by name.

    The deployment's own are in ``rubrics/`` in the folder RENEWCAST_RULES; they replace shipped ones of the same name.
    """
    own = custom_rules_folder()
    folders = [RUBRICS, *([own / "rubrics"] if own is not None else [])]
    return dict(sorted({file.stem: file for folder in folders for file in sorted(folder.glob("*.toml"))}.items()))


def load_rubric(name_or_path: str | Path = DEFAULT_RUBRIC, catalogue: Mapping[str, Feature] | None = None) -> Rubric:
    """Read and validate a rubric.

    Parameters
    ----------
    name_or_path : the name of a rubric (see `rubric_files`), or the path of a TOML file.
    catalogue : the features that signals may use; those of the deployment by default.

    Raises
    ------
    RubricError : there is no such rubric (the message lists the available ones), or the file is invalid.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        files = rubric_files()
        if str(name_or_path) not in files:
            raise RubricError(f"there is no rubric {name_or_path}", f"one of {', '.join(files)}, or a path to a .toml")
        path = files[str(name_or_path)]
    return rubric_from_text(read_rules_text(path, RubricError), str(path.name), catalogue)


def rubric_from_text(text: str, file: str, catalogue: Mapping[str, Feature] | None = None) -> Rubric:
    """Read and validate a rubric from TOML text; ``file`` is its name in messages.

    Parameters
    ----------
    text : the TOML text.
    file : the name in messages.
    catalogue : the features that signals may use; by default the current catalogue.

    Returns
    -------
    Rubric

    Raises
    ------
    RubricError : the rubric is not valid.
    """
    if catalogue is None:
        # Imported here because the catalogue loads the query engine.
        from features.custom.current_catalogue import current_catalogue

        catalogue = current_catalogue()
    numbers = {name for name, feature in catalogue.items() if feature.kind == "number"}
    return Rubric(parse_rubric(text, file, numbers), text)


def _meets(signal: StepsSignal, step: GradeStep, x: Floats) -> Bools:
    """Return which values meet the bound of a step; a step without a bound matches every known value."""
    if step.at_least is None and step.up_to is None:
        return ~np.isnan(x)
    return x >= np.float64(step.at_least or 0.0) if signal.better == "higher" else x <= np.float64(step.up_to or 0.0)


def _step_points(signal: StepsSignal, x: Floats) -> Floats:
    points = np.full(x.shape, np.nan)
    for step in reversed(signal.steps):
        points[_meets(signal, step, x)] = step.points
    return points


def _tenths(points: Floats) -> Floats:
    """Round points to whole grades of 0 to 10, with halves rounded up."""
    return np.asarray(10.0 * np.floor(points / 10.0 + 0.5), dtype=np.float64)


def _grade(signal: RubricSignal, value: float, points: float) -> str | None:
    if np.isnan(points):
        return None
    if isinstance(signal, ScaleSignal) or (isinstance(signal, PercentileSignal) and signal.green_above is None):
        return f"{points / 10:.0f} of 10"
    if isinstance(signal, PercentileSignal):
        assert signal.green_above is not None
        assert signal.yellow_from is not None
        return "green" if points > signal.green_above else "yellow" if points >= signal.yellow_from else "red"
    return next(step.grade for step in signal.steps if _meets(signal, step, np.array([value]))[0])
