"""Any scikit-learn compatible classifier as a recipe: copies of it are cross-fitted as the members of our ensemble.

The rows, the account folds, the dates of each member and the out-of-fold predictions are those of
`training.estimators.ensemble`, so the same calibrator, intervals and backtest apply. There are three differences. The
classifier is fitted for the main horizon only, because nothing makes its probabilities increase with the horizon. Its
settings are its own. Its log-odds may come from ONNX (`training.estimators.onnx_export`) where it has no trees in
LightGBM's format (`training.estimators.tree_export`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import scipy.special
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import threadpool_limits

from features.errors import BadRequest
from features.utils.arrays import Floats
from models.scorer.onnx_model import CLIP, OnnxModel
from models.scorer.scorer import THREADS
from training.dataset.design_matrix import Design
from training.dataset.encoding import Encoding
from training.estimators.booster_text import merge_boosters
from training.estimators.ensemble import CrossFitted, cross_fit
from training.estimators.onnx_export import onnx_of
from training.estimators.tree_export import booster_text, booster_text_of, has_trees, is_catboost, raw_scores

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
#: Maximum difference between the probabilities of a classifier and those of its exported form.
MAX_DIFFERENCE = 1e-5
#: Typical rows, in relation to which ONNX models are explained: one for each fifth of the portfolio by score.
TYPICAL_ROWS = 5
#: Rows on which an export is compared with the classifier.
CHECKED_ROWS = 500
_LEAVES = re.compile(r"^num_leaves=(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class EstimatorRecipe:
    """A classifier to fit, and its name among the candidates.

    Parameters
    ----------
    name : letters, digits, hyphens and underscores.
    estimator : an unfitted classifier with ``fit``, ``predict_proba`` and ``get_params``.
    """

    name: str
    estimator: Any

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise BadRequest(
                f"{self.name!r} is not a name for a recipe", "a letter, then at most 39 letters, digits, - or _"
            )
        estimator = self.estimator
        lacking = [name for name in ("fit", "predict_proba", "get_params") if not hasattr(estimator, name)]
        if isinstance(estimator, type) or lacking:
            what = f"the class {estimator.__name__}" if isinstance(estimator, type) else f"a {type(estimator).__name__}"
            raise BadRequest(
                f"{self.name} is {what}" + (f" without {', '.join(lacking)}" if lacking else ""),
                "an instance of a scikit-learn compatible classifier with predict_proba",
                "pass an instance, such as LogisticRegression(); for a classifier without probabilities, wrap it in "
                "CalibratedClassifierCV",
            )

    @property
    def words(self) -> str:
        """The name and the class; for a pipeline also the class of its last step."""
        step = self.estimator
        while isinstance(step, Pipeline):
            step = step.steps[-1][1]
        classes = list(dict.fromkeys(type(each).__name__ for each in (self.estimator, step)))
        return f"{self.name} ({' with '.join(classes)})"

    def as_dict(self) -> dict[str, Any]:
        """Return the class and the settings of the classifier as text."""
        parameters = self.estimator.get_params(deep=False)
        return {"estimator": type(self.estimator).__name__} | {
            str(name): str(value).replace("\n", " ")[:250] for name, value in parameters.items()
        }

    def fit(self, design: Design, seed: int) -> EstimatorMember:
        """Fit a copy on training rows.

        Parameters
        ----------
        design : the training rows.
        seed : replaces every ``random_state`` that is None.

        Returns
        -------
        EstimatorMember

        Raises
        ------
        BadRequest
            If the classifier cannot be fitted, or returns no probabilities of two classes.
        """
        estimator = _with_defaults(clone(self.estimator), seed)
        # Some classifiers refuse a feature that is unknown in all rows; as a constant it has no effect.
        matrix = np.where(np.isnan(design.matrix).all(axis=0), 0.0, design.matrix)
        X, y = _table(matrix, design.encoding.columns), design.y.astype(np.int64)
        try:
            # Threads that share busy cores make small fits many times slower.
            with threadpool_limits(limits=THREADS):
                estimator.fit(X, y, **_weights(estimator, design.weight))
            member = EstimatorMember(estimator, design.encoding.columns)
            member.raw_of(design.matrix[:1])
        except Exception as error:
            raise BadRequest(
                f"the recipe {self.name} cannot be fitted ({type(error).__name__})",
                "a classifier that fits numbers with unknown values (NaN) and gives probabilities of 0 and 1",
                "put a SimpleImputer before a classifier that does not accept NaN; the cause is in __cause__",
            ) from error
        return member


@dataclass(frozen=True)
class EstimatorMember:
    """A fitted classifier, and the names of its columns."""

    estimator: Any
    columns: tuple[str, ...]

    def raw_of(self, matrix: Floats) -> Floats:
        """Return the log-odds of an encoded matrix, (n, columns) -> (n, 1)."""
        X = _table(matrix, self.columns)
        with threadpool_limits(limits=THREADS):
            if has_trees(self.estimator):
                return raw_scores(self.estimator, X)[:, None]
            p = np.asarray(self.estimator.predict_proba(X), dtype=np.float64)
        if p.shape != (len(X), 2) or not np.isfinite(p).all():
            raise ValueError(f"predict_proba has shape {p.shape} or is not finite; ({len(X)}, 2) is expected")
        return np.asarray(scipy.special.logit(np.clip(p[:, 1], CLIP, 1 - CLIP))[:, None], dtype=np.float64)


@dataclass(frozen=True)
class EstimatorSettings:
    """The class and the settings of a classifier, as text."""

    values: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return dict(self.values)


@dataclass(frozen=True)
class EstimatorEnsemble(CrossFitted):
    """Cross-fitted copies of a classifier.

    Parameters
    ----------
    name : the name of the recipe.
    design_encoding : encoding of the snapshots.
    newest : encoded rows of the newest training date.
    checked : encoded training rows on which an export is compared with the classifier.
    """

    members: tuple[EstimatorMember, ...]
    settings: EstimatorSettings
    name: str
    design_encoding: Encoding
    newest: Floats
    checked: Floats

    @property
    def models(self) -> tuple[str, ...]:
        """The name of the recipe."""
        return (self.name,)

    @property
    def encoding(self) -> Encoding:
        """Encoding of the snapshots."""
        return self.design_encoding

    @property
    def trees(self) -> int:
        """The number of trees of all members; 0 in the ONNX format."""
        return sum(self._tree_counts)

    @property
    def leaves(self) -> int:
        """The largest number of leaves of a tree; 0 in the ONNX format."""
        return max(map(int, _LEAVES.findall(self.text)), default=0)

    @property
    def trees_share(self) -> float:
        """1 if the members are trees in LightGBM's format, else 0."""
        return float(not self.onnx)

    @cached_property
    def text(self) -> str:
        """The trees of all members in LightGBM's text format; a text without trees for members in the ONNX format."""
        if not self._has_trees:
            return booster_text([], self.encoding.columns)
        return merge_boosters([(text, 1.0) for text in self._texts])

    @cached_property
    def onnx(self) -> dict[str, bytes]:
        """The members in the ONNX format by file name; empty if they are trees in LightGBM's format.

        Raises
        ------
        BadRequest
            If the classifier cannot be converted, or the converted one gives other probabilities.
        """
        if self._has_trees:
            return {}
        columns = self.encoding.columns
        files = {f"member-{i}.onnx": onnx_of(each.estimator, columns) for i, each in enumerate(self.members)}
        for (name, content), member in zip(files.items(), self.members, strict=True):
            self._require_same(OnnxModel(content, name, len(columns)).log_odds(self.checked), member, "the ONNX format")
        return files

    def require_export(self) -> None:
        """Require that the members can be stored without pickling.

        Raises
        ------
        BadRequest
            If they cannot.
        """
        _ = self.text, self.onnx

    def scorer_parameters(self) -> dict[str, Any]:
        """Return what the scorer needs besides the booster and the ONNX models, as JSON values."""
        parameters: dict[str, Any] = {"members": [{"trees": count} for count in self._tree_counts]}
        if self.onnx:
            parameters["members"] = [{"trees": 0, "onnx": name} for name in self.onnx]
            parameters["typical"] = [[None if np.isnan(v) else v for v in row] for row in self._typical.tolist()]
        if self.encoding.horizons:
            parameters["horizons"] = {"days": list(self.encoding.horizons), "main": self.encoding.main_horizon}
        return parameters

    @property
    def _has_trees(self) -> bool:
        return has_trees(self.members[0].estimator)

    @cached_property
    def _texts(self) -> list[str]:
        if not self._has_trees:
            return []
        texts = [booster_text_of(member.estimator, self.encoding.columns) for member in self.members]
        for text, member in zip(texts, self.members, strict=True):
            booster = lightgbm.Booster(model_str=text)
            raw = booster.predict(self.checked, raw_score=True, num_threads=THREADS)
            self._require_same(np.asarray(raw, dtype=np.float64), member, "LightGBM's format")
        return texts

    def _require_same(self, raw: Floats, member: EstimatorMember, form: str) -> None:
        difference = scipy.special.expit(raw) - scipy.special.expit(member.raw_of(self.checked)[:, 0])
        if (off := float(np.abs(difference).max(initial=0.0))) > MAX_DIFFERENCE:
            raise BadRequest(
                f"{self.name} in {form} gives probabilities that differ by up to {off:.2g}",
                f"a difference of at most {MAX_DIFFERENCE:g}",
                "use transformers and a classifier that skl2onnx converts exactly",
            )

    @property
    def _tree_counts(self) -> list[int]:
        return [text.count("\nTree=") for text in self._texts]

    @cached_property
    def _typical(self) -> Floats:
        """The median account of each fifth of the newest rows by score; the most frequent code of a category."""
        rows = self.newest
        order = np.argsort(self._raw_of(rows), kind="stable")
        codes = [position for position, name in enumerate(self.encoding.columns) if name in self.encoding.categories]
        typical = []
        for part in np.array_split(order, min(TYPICAL_ROWS, len(order))):
            table = pd.DataFrame(rows[part])
            middle = table.median().to_numpy(dtype=np.float64, copy=True)
            for position in codes:
                most = table[position].mode()
                middle[position] = most.iloc[0] if len(most) else np.nan
            middle[table.isna().mean().to_numpy() > 0.5] = np.nan
            typical.append(middle)
        return np.array(typical)

    def _raw_of(self, matrix: Floats) -> Floats:
        return np.asarray(np.mean([member.raw_of(matrix)[:, 0] for member in self.members], axis=0), dtype=np.float64)


def fit_estimators(
    design: Design, recipe: EstimatorRecipe, folds: int, seed: int, progress: Callable[[float], None]
) -> EstimatorEnsemble:
    """Fit a copy of a classifier outside each account fold; the folds are those of `training.estimators.ensemble`.

    Parameters
    ----------
    design : the training rows of the main horizon.
    recipe : the classifier.
    folds : number of account folds, and of members.
    seed : see `EstimatorRecipe.fit`.
    progress : receives the share done.

    Returns
    -------
    EstimatorEnsemble

    Raises
    ------
    BadRequest
        If the classifier cannot be fitted.
    """
    members, held, share = cross_fit(design, folds, 1, lambda rows: recipe.fit(rows, seed), progress)
    newest = design.matrix[(design.as_of == design.as_of.max()).to_numpy()]
    checked = design.matrix[np.linspace(0, len(design.y) - 1, min(CHECKED_ROWS, len(design.y))).astype(int)]
    settings = EstimatorSettings(recipe.as_dict())
    return EstimatorEnsemble(members, np.ones(1), settings, held, share, recipe.name, design.encoding, newest, checked)


def _table(matrix: Floats, columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(matrix, columns=list(columns))


def _with_defaults(estimator: Any, seed: int) -> Any:
    """Set what a user seldom thinks of.

    Seeds that are None are set, and imputers keep columns that are unknown in all rows of one member. LightGBM and
    CatBoost use one thread, and CatBoost writes nothing to the terminal or to files.
    """
    parameters = estimator.get_params(deep=True)
    unset: dict[str, Any] = {
        name: seed for name, value in parameters.items() if value is None and name.rpartition("__")[2] == "random_state"
    }
    unset |= {name: True for name in parameters if name.rpartition("__")[2] == "keep_empty_features"}
    if isinstance(estimator, lightgbm.LGBMClassifier) and estimator.n_jobs is None:
        unset["n_jobs"] = THREADS
    if is_catboost(estimator):
        quiet: dict[str, Any] = {"allow_writing_files": False, "thread_count": THREADS}
        if not {"verbose", "silent", "logging_level", "verbose_eval"} & set(parameters):
            quiet["verbose"] = False
        unset |= {name: value for name, value in quiet.items() if name not in parameters}
    return estimator.set_params(**unset) if unset else estimator


def _weights(estimator: Any, weight: Floats) -> dict[str, Floats]:
    """Return the weights as the argument of ``fit``; nothing if the classifier accepts none."""
    name, step = "sample_weight", estimator
    while isinstance(step, Pipeline):
        last, step = step.steps[-1]
        name = f"{last}__{name}"
    return {name: weight} if has_fit_parameter(step, "sample_weight") else {}
