"""The scorer: from features of accounts to log-odds, contributions and calibrated probabilities.

This package needs only Python, NumPy and LightGBM, and ONNX Runtime for models in that format. It imports nothing else
of this project: it is stored with a registered model and loaded from there, so that other scoring servers and our own
service return the same results.

The files of a bundle that it reads are plain data: ``model.txt`` (LightGBM's text), ``calibrator.json``,
``schema.json``, and ``member-N.onnx`` for members in the ONNX format. Nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from .base import RENEWAL_FEATURE, Calibrated, Floats, log_odds, logistic
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
from .errors import ScorerError
from .linear_terms import LinearTerms, signed_logarithms
from .members import ErrorModel, LogOdds, Member, read_members
from .onnx_model import MEMBER_FILE, permutation_contributions, read_typical
from .strict_files import JSON_LIMIT, MODEL_LIMIT, read_bounded, read_json

#: Maps a matrix (n, columns) to the trees' contributions (n, columns + 1), the base last; None if it cannot.
Explainer = Callable[[Floats], Floats | None]

#: Probabilities are at least this far from 0 and 1.
SMALLEST_PROBABILITY = 1e-6
#: Quantiles of the resampled calibrators that bound the interval: 80% of them lie inside.
INTERVAL = (0.1, 0.9)
#: The corresponding standard normal quantile.
NORMAL_80 = 1.2815515655446004
#: Maximum difference between base + contributions and the raw score.
MAX_SUM_ERROR = 1e-6
#: LightGBM has one number of threads per process. If two concurrent calls use different numbers, one may write past the
#: buffers allocated for fewer threads, and the process crashes (the documentation of ``num_threads`` warns of changing
#: it). So all calls use the same number.
THREADS = 1
#: Maximum rows per calibration batch, to bound memory.
BATCH_ROWS = 8192


class Scorer:
    """A booster with its schema and calibrator; immutable. Create one with `load` or `from_texts`.

    The result for a row does not depend on the other rows: it is bit-identical alone and in a batch.
    """

    def __init__(
        self,
        booster: lightgbm.Booster,
        schema: Mapping[str, Any],
        calibrator: Mapping[str, Any],
        onnx: Mapping[str, bytes] | None = None,
    ) -> None:
        self._explainers: tuple[Explainer, ...] = ()
        self.features, self.categories = read_features(schema)
        self.horizons, self.main_horizon = read_horizons(schema)
        self._booster = booster
        columns = (*self.features, *(HORIZON_COLUMNS if self.horizons else ()))
        self._members = read_members(schema, columns, self.categories, booster.num_trees(), onnx)
        self._typical = read_typical(schema, len(columns))
        if not len(self._typical) and any(member.onnx for member in self._members):
            raise ScorerError("schema.json: ONNX members need typical rows, in relation to which they are explained")
        self._importance = _read_importance(schema, self.features)
        self._involuntary = LinearTerms.of(schema, "involuntary", columns, self.categories)
        self._share = _read_trees_share(schema)
        self._calibrator, self._calibrators = read_calibrators(calibrator)
        self._error = ErrorModel.of(calibrator)
        if tuple(booster.feature_name()) != columns:
            where = describe_difference(booster, columns)
            raise ScorerError(f"model.txt and schema.json do not name the same features in the same order: {where}")
        if booster.num_model_per_iteration() != 1:
            raise ScorerError("model.txt holds a multiclass model instead of a binary one")

    @classmethod
    def load(cls, folder: str | Path) -> Scorer:
        """Read ``model.txt``, ``calibrator.json``, ``schema.json`` and ONNX models from a folder.

        Raises
        ------
        ScorerError : a file is missing, too large or malformed, or does not match the others.
        """
        position = Path(folder)
        return cls.from_texts(
            read_bounded(position / "model.txt", MODEL_LIMIT).decode("utf-8", errors="replace"),
            read_json(read_bounded(position / "schema.json", JSON_LIMIT), "schema.json"),
            read_json(read_bounded(position / "calibrator.json", JSON_LIMIT), "calibrator.json"),
            onnx={
                path.name: read_bounded(path, MODEL_LIMIT)
                for path in sorted(position.iterdir())
                if MEMBER_FILE.fullmatch(path.name)
            },
        )

    @classmethod
    def from_texts(
        cls,
        model: str,
        schema: Mapping[str, Any],
        calibrator: Mapping[str, Any],
        explainer: Callable[[str, int, Sequence[range]], Sequence[Explainer]] | None = None,
        onnx: Mapping[str, bytes] | None = None,
    ) -> Scorer:
        """Create a scorer from LightGBM's text and parsed JSON.

        ``explainer`` takes the text, its number of columns and the positions of each member's trees, and returns a
        function for each member that computes the contributions of its trees. LightGBM computes them without an
        explainer, or if its function returns None.

        Parameters
        ----------
        model : the text of model.txt.
        schema : the content of schema.json.
        calibrator : the content of calibrator.json.
        explainer : a faster implementation of the trees' contributions.
        onnx : the ONNX models by file name.

        Returns
        -------
        Scorer

        Raises
        ------
        ScorerError : an input is malformed, or they do not match each other.
        """
        lines = model.splitlines()
        if "end of trees" not in lines:
            raise ScorerError("model.txt is not a complete LightGBM model: its end is missing")
        objective = next((line for line in lines if line.startswith("objective=")), "objective=?")
        if objective.split()[0] != "objective=binary" or objective.split()[1:] not in ([], ["sigmoid:1"]):
            raise ScorerError(f"model.txt has {objective}; only 'binary' with sigmoid:1 has log-odds as its raw score")
        try:
            booster = lightgbm.Booster(model_str=model)
        except lightgbm.basic.LightGBMError as error:
            raise ScorerError(f"model.txt cannot be read by LightGBM {lightgbm.__version__}: {error}") from error
        scorer = cls(booster, schema, calibrator, onnx)
        if explainer is not None:
            positions = [range(member.first, member.first + member.trees) for member in scorer._members]
            scorer._explainers = tuple(explainer(model, booster.num_feature(), positions))
        return scorer

    @property
    def members(self) -> int:
        """The number of models in the ensemble; 1 for a single model."""
        return len(self._members)

    def encode(self, frame: Any) -> Encoded:
        """Encode a pandas table according to the schema, by column name, never by position.

        Parameters
        ----------
        frame : pandas DataFrame of n rows, with numbers of any numeric or bool dtype and categories as strings. Nulls
            in any form and infinite numbers are unknown. Columns that are not in the schema are ignored.

        Raises
        ------
        ScorerError : a column occurs twice, or a numeric column has other values (the message names only the column).
        """
        columns = list(frame.columns)
        present = [name for name in self.features if name in columns]
        for name in present:
            if columns.count(name) > 1:
                raise ScorerError(f"column {name} occurs {columns.count(name)} times; it must occur once")
        matrix = np.full((len(frame), len(self.features)), np.nan, order="C")
        unseen: dict[str, npt.NDArray[np.bool_]] = {}
        positions = [
            position for position, name in enumerate(self.features) if name in columns and name not in self.categories
        ]
        matrix[:, positions] = number_matrix(frame[[self.features[position] for position in positions]])
        for name in self.categories:
            if name in columns:
                codes = self.categories[name]
                coded = [codes.get(v, np.nan) if isinstance(v, str) else np.nan for v in frame[name].tolist()]
                matrix[:, self.features.index(name)] = coded
                unknown = frame[name].notna().to_numpy(dtype=bool) & np.isnan(coded)
                if unknown.any():
                    unseen[name] = unknown
        missing = [name for name in self.features if name not in columns]
        return Encoded(matrix, tuple(missing), unseen)

    def raw(self, matrix: Floats, days: int | None = None) -> Floats:
        """Return the log-odds before calibration: the mean of the members.

        ``matrix`` from `encode`, (n, features) -> (n,). ``days`` is the horizon, by default the main one.

        Raises
        ------
        ScorerError : the model does not have that horizon.
        """
        answer: Floats = self.member_raw(matrix, days).mean(axis=0)
        return answer

    def member_raw(self, matrix: Floats, days: int | None = None) -> Floats:
        """Return the log-odds of each of k members, (n, features) -> (k, n); see `raw`."""
        columns = self._at(matrix, days)
        answer = np.zeros((len(self._members), len(columns)))
        logarithms = signed_logarithms(columns) if any(m.start is not None for m in self._members) else None
        for own, member in zip(answer, self._members, strict=True):
            if member.trees:
                own += self._share * self._predict(columns, (len(columns),), member, raw_score=True)
            if member.start is not None:
                own += member.start.intercept + member.start.parts(columns, logarithms).sum(axis=1)
            if member.onnx is not None:
                own += member.onnx.log_odds(columns)
        return answer

    def estimate(self, matrix: Floats) -> LogOdds:
        """Return the log-odds of the main horizon with their standard error, (n, features) -> (n,) each."""
        members = self.member_raw(matrix)
        return LogOdds(members.mean(axis=0), self._error.errors(members))

    def prepare(self) -> None:
        """Prepare what the first call of `contributions` needs, so that this call does not take longer."""
        for explainer in self._explainers:
            explainer(self._at(np.empty((0, len(self.features))), None))

    def contributions(self, matrix: Floats, raw: Floats | None = None) -> Floats:
        """Return the contribution of each feature to the log-odds of the main horizon: the mean of the members.

        Parameters are those of `member_contributions`.

        Returns
        -------
        Floats
            Shape (n, features + 1); the last column is the base.
        """
        answer: Floats = self.member_contributions(matrix, raw).mean(axis=0)
        return answer

    def member_contributions(self, matrix: Floats, raw: Floats | None = None) -> Floats:
        """Return the contribution of each feature to the log-odds of the main horizon, for each of k members.

        For the trees, contributions are TreeSHAP values (Lundberg et al. 2020, path-dependent as in LightGBM). For the
        linear model, they are the slope times the distance from the average training row of the main horizon
        (interventional). For ONNX models, they are estimated by sampling (`permutation_contributions`) and add up
        exactly. The length of the horizon is the same for all accounts, so its contribution belongs to the
        base. The other columns about the horizon depend on the renewal date, and their contributions are added to that
        feature's, or to the base if the model does not have the feature.

        Parameters
        ----------
        matrix : the matrix from `encode`, shape (n, features).
        raw : the result of `raw` for the matrix, (n,), if it was already computed.

        Returns
        -------
        Floats
            Shape (k, n, features + 1); the last column is the base. The base differs between accounts only if the
            trees combine features with the length of the horizon.

        Raises
        ------
        ScorerError : base + sum differs from the raw score by more than 1e-6.
        """
        columns = self._at(matrix, None)
        answer = np.stack([self._member_parts(columns, i) for i in range(len(self._members))])
        sums = answer.sum(axis=2).mean(axis=0)
        off = float(np.abs(sums - (self.raw(matrix) if raw is None else raw)).max(initial=0.0))
        if not off <= MAX_SUM_ERROR:
            raise ScorerError(f"the contributions differ from the raw score by {off:.3g}, more than {MAX_SUM_ERROR:g}")
        return answer

    def calibrate(self, raw: Floats, error: Floats | None = None) -> Calibrated:
        """Convert log-odds (n,) to probabilities with an 80% interval.

        The interval is that of the outcome rate among accounts with the same features. All horizons share the
        calibrator, so that a longer horizon never has a lower probability. The interval covers two kinds of
        uncertainty, whose half widths are added in quadrature: that of the calibrator (the 10th to the 90th percentile
        of calibrators of the same kind fitted on resamples of accounts, with the level shifted as far as levels have
        shifted in the history), and that of the model.

        Parameters
        ----------
        raw : log-odds before calibration.
        error : their standard error from `estimate`; None to leave out the uncertainty of the model.
        """
        z = np.ascontiguousarray(raw, dtype=np.float64)
        half = None if error is None else np.ascontiguousarray(NORMAL_80 * error, dtype=np.float64)
        chunks = []
        for start in range(0, max(len(z), 1), BATCH_ROWS):
            rows = slice(start, start + BATCH_ROWS)
            chunks.append(self._calibrated(z[rows], None if half is None else half[rows]))
        return Calibrated(*(np.concatenate(part) for part in zip(*chunks, strict=True)))

    def probability(self, raw: Floats) -> Floats:
        """Return the probabilities of log-odds (n,), as in `calibrate` but without the interval."""
        z = np.ascontiguousarray(raw, dtype=np.float64)
        p: Floats = np.clip(self._calibrator(z)[0], SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)
        return p

    def by_horizon(self, matrix: Floats) -> dict[int, Floats]:
        """Return the probability within each horizon of the model, (n,) by its days, shortest first.

        The result is empty if the model has only one horizon.
        """
        return {days: self.probability(self.raw(matrix, days)) for days in self.horizons}

    def involuntary(self, matrix: Floats) -> Floats:
        """Return the probability that a churn would be involuntary (by nonpayment), (n,); NaN if the model has none."""
        if self._involuntary is None:
            return np.full(len(matrix), np.nan)
        columns = self._at(matrix, None)
        return logistic(self._involuntary.intercept + self._involuntary.parts(columns).sum(axis=1))

    def gain(self, spread: Mapping[str, float]) -> dict[str, float]:
        """Return the share of the model's gain by feature; the shares sum to 1, or are all 0 for a model without gain.

        For the trees, gain is the reduction of the loss by their splits, as computed by LightGBM. For the linear model
        it is the standard deviation of a feature's contribution to the log-odds. Each part is weighted by its share of
        the blend. Gain of the horizon's columns that depend on the renewal counts for the renewal feature; the length
        of the horizon is not a feature and does not count.

        Bundles of format 6 store the shares ("importance" in ``schema.json``): there, gain is the mean absolute
        contribution to the log-odds of the newest training snapshot, over all models of the ensemble.

        ``spread`` holds the standard deviation of the signed logarithm by numeric feature, 1 by default.
        """
        if self._importance is not None:
            return dict(zip(self.features, self._importance.tolist(), strict=True))
        own = len(self.features)
        trees = np.asarray(self._booster.feature_importance("gain"), dtype=np.float64)
        line = np.zeros(len(trees))
        spreads = np.array([spread.get(name, 1.0) for name in self.features])
        strengths = [member.start.strengths(spreads) for member in self._members if member.start is not None]
        if strengths:
            line[:own] = np.mean(strengths, axis=0)
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
        """Run `encode`, `estimate` and `calibrate`."""
        return self.calibrate(*self.estimate(self.encode(frame).matrix))

    def _calibrated(self, z: Floats, half: Floats | None) -> Calibrated:
        probabilities = np.clip(self._calibrators(z), SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)
        point, (low, high) = probabilities[0], _quantiles(probabilities[1:], INTERVAL)
        low, high = np.minimum(low, point), np.maximum(high, point)
        if half is not None:
            center = log_odds(point)
            below, above = log_odds(self.probability(z - half)), log_odds(self.probability(z + half))
            low = logistic(center - np.hypot(center - below, center - log_odds(low)))
            high = logistic(center + np.hypot(above - center, log_odds(high) - center))
        return Calibrated(point, low, high)

    def _member_parts(self, columns: Floats, number: int) -> Floats:
        """Return the contributions of one member, (n, columns) -> (n, features + 1)."""
        member = self._members[number]
        parts = np.zeros((len(columns), columns.shape[1] + 1))
        if member.trees:
            tree_parts = self._explainers[number](columns) if self._explainers else None
            if tree_parts is None:
                tree_parts = self._predict(columns, parts.shape, member, pred_contrib=True)
            parts += self._share * tree_parts
        if member.start is not None:
            parts[:, :-1] += member.start.parts(columns)
            parts[:, -1] += member.start.intercept
        if member.onnx is not None:
            parts += permutation_contributions(member.onnx.log_odds, columns, self._typical)
        if not self.horizons:
            return parts
        own = len(self.features)
        constant = own + HORIZON_COLUMNS.index(HORIZON_LENGTH)
        of_renewal = parts[:, own:-1].sum(axis=1) - parts[:, constant]
        parts[:, -1] += parts[:, constant]
        parts = np.hstack([parts[:, :own], parts[:, -1:]])
        parts[:, self.features.index(RENEWAL_FEATURE) if RENEWAL_FEATURE in self.features else -1] += of_renewal
        return parts

    def _at(self, matrix: Floats, days: int | None) -> Floats:
        """Append the columns about the horizon to the matrix."""
        if matrix.ndim != 2 or matrix.shape[1] != len(self.features):
            raise ScorerError(f"the matrix has shape {matrix.shape}; expected (n, {len(self.features)})")
        horizon = self.main_horizon if days is None else days
        if not self.horizons:
            if horizon is not None:
                raise ScorerError("the model has only one horizon")
            return matrix
        if horizon not in self.horizons:
            raise ScorerError(f"the model has the horizons {', '.join(map(str, self.horizons))} days")
        return np.hstack([matrix, horizon_columns(matrix, self.features, horizon)])

    def _predict(self, matrix: Floats, shape: tuple[int, ...], member: Member, **what: bool) -> Floats:
        if len(matrix) == 0:
            return np.empty(shape)
        answer = self._booster.predict(
            matrix, start_iteration=member.first, num_iteration=member.trees, num_threads=THREADS, **what
        )
        return np.asarray(answer, dtype=np.float64).reshape(shape)


def _quantiles(values: Floats, shares: tuple[float, ...]) -> Floats:
    """Return the quantiles of each column, as `numpy.quantile` computes them, (k, n) -> (shares, n).

    For one account, NumPy takes several times as long to prepare the selection as to select.
    """
    if len(values) == 0 or np.isnan(values).any():
        return np.quantile(values, shares, axis=0)
    positions = np.array(shares) * (len(values) - 1)
    below = np.floor(positions).astype(np.intp)
    above = np.minimum(below + 1, len(values) - 1)
    selected = np.partition(values, np.concatenate([below, above]), axis=0)
    low, high, rest = selected[below], selected[above], (positions - below)[:, None]
    step = high - low
    answer: Floats = np.where(rest >= 0.5, high - step * (1 - rest), low + step * rest)
    return answer


def _read_importance(schema: Mapping[str, Any], features: Sequence[str]) -> Floats | None:
    """Return the share of each feature in the importance, or None if the booster's gain has to be used."""
    if (stored := schema.get("importance")) is None:
        return None
    try:
        shares = np.array([stored[name] for name in features], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        raise ScorerError("schema.json: importance must hold a number for each feature") from None
    if not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() > 1 + 1e-6:
        raise ScorerError("schema.json: importance must hold shares that are not negative and add up to 1")
    return shares


def _read_trees_share(schema: Mapping[str, Any]) -> float:
    share = schema.get("trees_share", 1.0)
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
        raise ScorerError("schema.json: trees_share is a number from 0 to 1")
    return float(share)
