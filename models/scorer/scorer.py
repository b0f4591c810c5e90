"""Signals of accounts in, log-odds, contributions and calibrated probabilities out.

This one file needs only Python, numpy and LightGBM: it travels with a registered model and is loaded from there, so
that a scoring server elsewhere and our own service answer alike. It therefore imports nothing of ours.

A bundle's three files that it reads are plain data: ``model.txt`` (LightGBM's text), ``calibrator.json`` and
``schema.json``. Nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from .base import RENEWAL_FEATURE, Calibrated, Floats, ScorerError, log_odds, logistic
from .calibrators import read_calibrators
from .encoding import (
    HORIZON_COLUMNS,
    HORIZON_LENGTH,
    Encoded,
    describe_difference,
    horizon_columns,
    number_matrix,
    read_features,
    read_horizons,
)
from .linear_terms import LinearTerms
from .strict_files import JSON_LIMIT, MODEL_LIMIT, read_bounded, read_json

#: A matrix (n, columns) to the trees' contributions (n, columns + 1), the base last; None where it cannot tell.
Explainer = Callable[[Floats], Floats | None]

#: No probability is told as certain.
SMALLEST_PROBABILITY = 1e-6
#: The interval runs from this quantile of the resampled calibrators to that one: 80% of them lie inside.
INTERVAL = (0.1, 0.9)
#: The standard normal quantile that belongs to them.
NORMAL_80 = 1.2815515655446004
#: base + sum of the contributions must give the raw score to this precision.
MAX_SUM_ERROR = 1e-6
#: LightGBM keeps the number of threads for the whole process: of two calls at a time that ask for different ones, one
#: may write past what it laid out for fewer threads, and the process ends (its documentation of ``num_threads`` warns
#: of changing it). So all calls ask for the same.
THREADS = 1
#: So many rows are calibrated at once, to bound the memory.
BATCH_ROWS = 8192


class Scorer:
    """A booster, its schema and its calibrator. Use `load` or `from_texts`; it is never changed afterwards.

    The answer for a row does not depend on the other rows: alone or in a batch it is the same to the last bit.
    """

    def __init__(
        self,
        booster: lightgbm.Booster,
        schema: Mapping[str, Any],
        calibrator: Mapping[str, Any],
        explainer: Explainer | None = None,
    ) -> None:
        self._explainer = explainer
        self.features, self.categories = read_features(schema)
        self.horizons, self.main_horizon = read_horizons(schema)
        self._booster = booster
        columns = (*self.features, *(HORIZON_COLUMNS if self.horizons else ()))
        self._start = LinearTerms.of(schema, "start", columns, self.categories)
        self._involuntary = LinearTerms.of(schema, "involuntary", columns, self.categories)
        self._share = _read_trees_share(schema)
        self._calibrator, self._calibrators = read_calibrators(calibrator)
        self._spread = _read_spread(calibrator)
        if tuple(booster.feature_name()) != columns:
            where = describe_difference(booster, columns)
            raise ScorerError(f"model.txt and schema.json do not name the same features in the same order: {where}")
        if booster.num_model_per_iteration() != 1:
            raise ScorerError("model.txt holds a model of several classes, not one of a yes or no")

    @classmethod
    def load(cls, folder: str | Path) -> Scorer:
        """Read ``model.txt``, ``calibrator.json`` and ``schema.json`` from a folder.

        Raises
        ------
        ScorerError : a file is missing, too large, malformed, or does not fit the others.
        """
        place = Path(folder)
        return cls.from_texts(
            read_bounded(place / "model.txt", MODEL_LIMIT).decode("utf-8", errors="replace"),
            read_json(read_bounded(place / "schema.json", JSON_LIMIT), "schema.json"),
            read_json(read_bounded(place / "calibrator.json", JSON_LIMIT), "calibrator.json"),
        )

    @classmethod
    def from_texts(
        cls,
        model: str,
        schema: Mapping[str, Any],
        calibrator: Mapping[str, Any],
        explainer: Callable[[str, int], Explainer] | None = None,
    ) -> Scorer:
        """The same from LightGBM's text and parsed JSON.

        ``explainer`` makes of the text and the number of its columns what computes the trees' contributions;
        LightGBM itself does where it is not given, or gives None.

        Raises
        ------
        ScorerError : one is malformed, or they do not fit each other.
        """
        lines = model.splitlines()
        if "end of trees" not in lines:
            raise ScorerError("model.txt is not a whole LightGBM model: its end is missing")
        objective = next((line for line in lines if line.startswith("objective=")), "objective=?")
        if objective.split()[0] != "objective=binary" or objective.split()[1:] not in ([], ["sigmoid:1"]):
            raise ScorerError(f"model.txt has {objective}; only 'binary' with sigmoid:1 has log-odds as its raw score")
        try:
            booster = lightgbm.Booster(model_str=model)
        except lightgbm.basic.LightGBMError as error:
            raise ScorerError(f"model.txt cannot be read by LightGBM {lightgbm.__version__}: {error}") from error
        made = None if explainer is None else explainer(model, booster.num_feature())
        return cls(booster, schema, calibrator, made)

    def encode(self, frame: Any) -> Encoded:
        """Conform a pandas table to the schema by column name, never by position.

        Parameters
        ----------
        frame : pandas DataFrame of n rows. Numbers of any numeric or bool dtype; categories as strings; a null in
            any form, or an infinite number, is unknown. Columns that the schema does not name are ignored.

        Raises
        ------
        ScorerError : a column is there twice, or a number's column holds something else (only the column is named).
        """
        columns = list(frame.columns)
        present = [name for name in self.features if name in columns]
        for name in present:
            if columns.count(name) > 1:
                raise ScorerError(f"column {name} is there {columns.count(name)} times; give it once")
        matrix = np.full((len(frame), len(self.features)), np.nan, order="C")
        unseen: dict[str, npt.NDArray[np.bool_]] = {}
        places = [place for place, name in enumerate(self.features) if name in columns and name not in self.categories]
        matrix[:, places] = number_matrix(frame[[self.features[place] for place in places]])
        for name in self.categories:
            if name in columns:
                codes = self.categories[name]
                coded = [codes.get(v, np.nan) if isinstance(v, str) else np.nan for v in frame[name].tolist()]
                matrix[:, self.features.index(name)] = coded
                strange = frame[name].notna().to_numpy(dtype=bool) & np.isnan(coded)
                if strange.any():
                    unseen[name] = strange
        missing = [name for name in self.features if name not in columns]
        return Encoded(matrix, tuple(missing), unseen)

    def raw(self, matrix: Floats, days: int | None = None) -> Floats:
        """The log-odds before calibration: the trees' share, and the linear model's where there is one.

        ``matrix`` from `encode`, (n, features) -> (n,). ``days`` is the horizon asked about, the main one if None.

        Raises
        ------
        ScorerError : the model does not know that horizon.
        """
        given = self._at(matrix, days)
        answer = self._share * self._predict(given, (len(given),), raw_score=True)
        if self._start is not None:
            answer = answer + (self._start.intercept + self._start.parts(given).sum(axis=1))
        return answer

    def prepare(self) -> None:
        """Make what the first contributions would make, so that whoever asks first does not wait for it."""
        if self._explainer is not None:
            self._explainer(self._at(np.empty((0, len(self.features))), None))

    def contributions(self, matrix: Floats, raw: Floats | None = None) -> Floats:
        """What each feature adds to the log-odds of the main horizon: TreeSHAP (Lundberg et al. 2020, as LightGBM
        defines it: path-dependent), and for the linear model its slope times the distance from the average training
        row of the main horizon (interventional).

        The length of the horizon is the same for every account that is asked about, so it is no account's reason: what
        it adds belongs to the base. The other columns of the horizon depend on when the account renews, and count as
        the renewal date's; without that feature, as the base's.

        ``matrix`` from `encode`, (n, features) -> (n, features + 1); the last column is the base. It differs between
        accounts by no more than what the trees combine with the length of the horizon. ``raw`` is the answer of `raw`
        for it, (n,), where it has been computed already.

        Raises
        ------
        ScorerError : base + sum differs from the raw score by more than 1e-6.
        """
        given = self._at(matrix, None)
        of_trees = None if self._explainer is None else self._explainer(given)
        if of_trees is None:
            of_trees = self._predict(given, (len(given), given.shape[1] + 1), pred_contrib=True)
        parts = self._share * of_trees
        if self._start is not None:
            parts[:, :-1] += self._start.parts(given)
            parts[:, -1] += self._start.intercept
        if self.horizons:
            own = len(self.features)
            constant = own + HORIZON_COLUMNS.index(HORIZON_LENGTH)
            of_renewal = parts[:, own:-1].sum(axis=1) - parts[:, constant]
            parts[:, -1] += parts[:, constant]
            parts = np.hstack([parts[:, :own], parts[:, -1:]])
            parts[:, self.features.index(RENEWAL_FEATURE) if RENEWAL_FEATURE in self.features else -1] += of_renewal
        off = float(np.abs(parts.sum(axis=1) - (self.raw(matrix) if raw is None else raw)).max(initial=0.0))
        if not off <= MAX_SUM_ERROR:
            raise ScorerError(f"the contributions miss the raw score by {off:.3g}, more than {MAX_SUM_ERROR:g}")
        return parts

    def calibrate(self, raw: Floats) -> Calibrated:
        """Turn log-odds (n,) into probabilities with an 80% interval. All horizons share the calibrator, so that a
        longer one never has the lower probability.

        The probability is that of the calibrator. The interval holds two things that are not known: the calibrator
        (the 10th to the 90th percentile of the same kind of calibrator fitted on resamples of accounts, with the level
        moved as far as levels have moved in the history), and what the signals leave unknown of one account
        (``spread``, a standard deviation in log-odds); their half widths add in squares.
        """
        z = np.ascontiguousarray(raw, dtype=np.float64)
        chunks = [self._calibrated(z[start : start + BATCH_ROWS]) for start in range(0, max(len(z), 1), BATCH_ROWS)]
        return Calibrated(*(np.concatenate(part) for part in zip(*chunks, strict=True)))

    def probability(self, raw: Floats) -> Floats:
        """The probability alone of log-odds (n,): that of `calibrate`, without the work for its interval."""
        z = np.ascontiguousarray(raw, dtype=np.float64)
        p: Floats = np.clip(self._calibrator(z)[0], SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)
        return p

    def by_horizon(self, matrix: Floats) -> dict[int, Floats]:
        """The probability within each horizon that the model knows, (n,) by its days, shortest first; empty where it
        knows only one."""
        return {days: self.probability(self.raw(matrix, days)) for days in self.horizons}

    def involuntary(self, matrix: Floats) -> Floats:
        """The share of a churn that would be involuntary, by nonpayment, (n,) from 0 to 1; NaN where the model does not
        tell."""
        if self._involuntary is None:
            return np.full(len(matrix), np.nan)
        given = self._at(matrix, None)
        return logistic(self._involuntary.intercept + self._involuntary.parts(given).sum(axis=1))

    def gain(self, spread: Mapping[str, float]) -> dict[str, float]:
        """The share of the model's gain by feature; the shares sum to 1, or are all 0 for a model without any.

        Of the trees it is the loss that their splits take away, as LightGBM counts it. A linear model splits nothing:
        there it is the standard deviation of what a feature adds to the log-odds. Each part counts by its share of the
        blend. What depends on the renewal through the horizon counts as the renewal's; the horizon's length is no
        feature and counts for none.

        ``spread`` holds the standard deviation of the signed logarithm by feature of numbers; 1 where it is not given.
        """
        own = len(self.features)
        trees = np.asarray(self._booster.feature_importance("gain"), dtype=np.float64)
        line = np.zeros(len(trees))
        if self._start is not None:
            line[:own] = self._start.strengths(np.array([spread.get(name, 1.0) for name in self.features]))
        share = self._share if line.any() else 1.0
        total = np.zeros(own)
        for part, weight in ((trees, share), (line, 1.0 - share)):
            if RENEWAL_FEATURE in self.features:
                part[self.features.index(RENEWAL_FEATURE)] += part[own + 1 :].sum()
            if (whole := part[:own].sum()) > 0:
                total += weight * part[:own] / whole
        whole = total.sum()
        return dict(zip(self.features, (total / whole if whole > 0 else total).tolist(), strict=True))

    def predict(self, frame: Any) -> Calibrated:
        """`encode`, `raw` and `calibrate` in one go."""
        return self.calibrate(self.raw(self.encode(frame).matrix))

    def _calibrated(self, z: Floats) -> Calibrated:
        every = np.clip(self._calibrators(z), SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)
        point, (low, high) = every[0], np.quantile(every[1:], INTERVAL, axis=0)
        low, high = np.minimum(low, point), np.maximum(high, point)
        if self._spread:
            centre, half = log_odds(point), NORMAL_80 * self._spread
            low = logistic(centre - np.hypot(half, centre - log_odds(low)))
            high = logistic(centre + np.hypot(half, log_odds(high) - centre))
        return Calibrated(point, low, high)

    def _at(self, matrix: Floats, days: int | None) -> Floats:
        """The matrix beside the horizon's columns."""
        if matrix.ndim != 2 or matrix.shape[1] != len(self.features):
            raise ScorerError(f"a matrix of shape {matrix.shape} was given; expected (n, {len(self.features)})")
        asked = self.main_horizon if days is None else days
        if not self.horizons:
            if asked is not None:
                raise ScorerError("the model knows one horizon only")
            return matrix
        if asked not in self.horizons:
            raise ScorerError(f"the model knows the horizons {', '.join(map(str, self.horizons))} days")
        return np.hstack([matrix, horizon_columns(matrix, self.features, asked)])

    def _predict(self, matrix: Floats, shape: tuple[int, ...], **what: bool) -> Floats:
        if len(matrix) == 0:
            return np.empty(shape)
        answer = self._booster.predict(matrix, **what, num_threads=THREADS)
        return np.asarray(answer, dtype=np.float64).reshape(shape)


def _read_trees_share(schema: Mapping[str, Any]) -> float:
    share = schema.get("trees_share", 1.0)
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
        raise ScorerError("schema.json: trees_share is a number from 0 to 1")
    return float(share)


def _read_spread(stored: Mapping[str, Any]) -> float:
    spread = stored.get("spread", 0.0)
    if not isinstance(spread, int | float) or isinstance(spread, bool) or not 0 <= spread <= 10:
        raise ScorerError("calibrator.json: spread is a number from 0 to 10")
    return float(spread)
