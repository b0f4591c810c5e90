"""Gradient boosting of other libraries in LightGBM's text format, so that our scorer and our tables serve it.

A text is exact: it has the splits and the leaf values of the fitted estimator. LightGBM's own classifiers have one, and
so have scikit-learn's histogram gradient boosting and CatBoost's symmetric trees.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from features.errors import BadRequest
from features.utils.arrays import Floats

# LightGBM's decision_type of a number whose missing value is NaN, which goes right; and the bit that sends it left.
_NAN_RIGHT, _NAN_LEFT = 8, 2
_LARGEST = sys.float_info.max


class Nodes(NamedTuple):
    """One tree, in the order of LightGBM's text; a child is a node, or ``~leaf``. Without nodes it is a constant."""

    feature: Sequence[int]
    threshold: Sequence[float]
    nan_left: Sequence[bool]
    left: Sequence[int]
    right: Sequence[int]
    rows: Sequence[int]
    value: Sequence[float]
    leaf_rows: Sequence[int]


def has_trees(estimator: Any) -> bool:
    """Return whether an estimator is of a kind that has a text."""
    return isinstance(estimator, lightgbm.LGBMClassifier | HistGradientBoostingClassifier) or is_catboost(estimator)


def is_catboost(estimator: Any) -> bool:
    """Return whether an estimator is a CatBoostClassifier, without importing CatBoost."""
    return any(
        f"{each.__module__}.{each.__name__}" == "catboost.core.CatBoostClassifier" for each in type(estimator).__mro__
    )


def raw_scores(estimator: Any, X: Any) -> Floats:
    """Return the log-odds of a fitted estimator that has a text.

    Parameters
    ----------
    estimator : the fitted estimator.
    X : n rows in the form in which it was fitted.

    Returns
    -------
    array of shape (n,)
    """
    if isinstance(estimator, lightgbm.LGBMClassifier):
        raw = estimator.predict_proba(X, raw_score=True)
    elif isinstance(estimator, HistGradientBoostingClassifier):
        raw = estimator.decision_function(X)
    else:
        raw = estimator.predict(X, prediction_type="RawFormulaVal")
    return np.asarray(raw, dtype=np.float64).reshape(len(X))


def booster_text_of(estimator: Any, columns: Sequence[str]) -> str:
    """Return a fitted estimator in LightGBM's text format.

    Parameters
    ----------
    estimator : the fitted estimator.
    columns : the names of its columns.

    Returns
    -------
    str

    Raises
    ------
    BadRequest
        If the estimator uses something that the text or our tables cannot express.
    """
    if isinstance(estimator, lightgbm.LGBMClassifier):
        return _of_lightgbm(estimator)
    trees = (
        _of_histograms(estimator) if isinstance(estimator, HistGradientBoostingClassifier) else _of_catboost(estimator)
    )
    return booster_text(trees, columns)


def booster_text(trees: Sequence[Nodes], columns: Sequence[str]) -> str:
    """Write trees in LightGBM's text format.

    Parameters
    ----------
    trees : the trees, whose sum is the log-odds; may be empty.
    columns : the names of the columns.

    Returns
    -------
    str
    """
    blocks = [f"Tree={number}\n{_block(tree)}\n\n\n" for number, tree in enumerate(trees)]
    header = [
        "tree",
        "version=v4",
        "num_class=1",
        "num_tree_per_iteration=1",
        "label_index=0",
        f"max_feature_idx={len(columns) - 1}",
        "objective=binary sigmoid:1",
        f"feature_names={' '.join(columns)}",
        f"feature_infos={' '.join('none' for _ in columns)}",
        f"tree_sizes={' '.join(str(len(block.encode())) for block in blocks)}",
    ]
    return "\n".join(header) + "\n\n" + "".join(blocks) + "end of trees\n"


def _block(tree: Nodes) -> str:
    kinds = [_NAN_RIGHT | (_NAN_LEFT if left else 0) for left in tree.nan_left]
    lines: list[tuple[str, Sequence[Any]]] = [
        ("num_leaves", [len(tree.value)]),
        ("num_cat", [0]),
        ("split_feature", tree.feature),
        ("split_gain", [0] * len(tree.feature)),
        ("threshold", [min(float(each), _LARGEST) for each in tree.threshold]),
        ("decision_type", kinds),
        ("left_child", tree.left),
        ("right_child", tree.right),
        ("leaf_value", [float(each) for each in tree.value]),
        ("leaf_weight", tree.leaf_rows),
        ("leaf_count", tree.leaf_rows),
        ("internal_value", [0] * len(tree.feature)),
        ("internal_weight", tree.rows),
        ("internal_count", tree.rows),
        ("is_linear", [0]),
        ("shrinkage", [1]),
    ]
    return "\n".join(f"{name}={' '.join(map(repr, values))}" for name, values in lines)


def _constant(value: float) -> Nodes:
    return Nodes([], [], [], [], [], [], [float(value)], [1])


def _of_lightgbm(estimator: lightgbm.LGBMClassifier) -> str:
    text = str(estimator.booster_.model_to_string())
    header, rest = text[: text.index("\ntree_sizes=")].splitlines(), text[text.index("\ntree_sizes=") :]
    objective = next((line.split("=", 1)[1].split() for line in header if line.startswith("objective=")), [])
    if "average_output" in header or objective[:1] != ["binary"] or "sigmoid:1" not in objective:
        raise BadRequest(
            "this LGBMClassifier does not add up log-odds",
            "the objective binary with sigmoid 1, and boosting other than rf",
            "leave boosting_type, objective and sigmoid at their defaults",
        )
    if estimator.get_params().get("linear_tree"):
        raise BadRequest("this LGBMClassifier has linear trees", "trees with constant leaves", "set linear_tree=False")
    plain = "objective=binary sigmoid:1"
    return "\n".join(plain if line.startswith("objective=") else line for line in header) + rest


def _of_histograms(estimator: HistGradientBoostingClassifier) -> list[Nodes]:
    if estimator.is_categorical_ is not None:
        raise BadRequest(
            "this HistGradientBoostingClassifier splits by sets of categories",
            "splits of numbers; a category is the number of its value",
            'set categorical_features=None instead of "from_dtype" or a list of columns',
        )
    trees = [_constant(float(np.ravel(estimator._baseline_prediction)[0]))]
    return trees + [_of_histogram(predictor.nodes) for (predictor,) in estimator._predictors]


def _of_histogram(nodes: Any) -> Nodes:
    is_leaf = nodes["is_leaf"].astype(bool)
    if is_leaf[0]:
        return _constant(nodes["value"][0])
    # Nodes and leaves are numbered apart, each in the order of the array, where children follow their parent.
    number = np.where(is_leaf, ~(np.cumsum(is_leaf) - 1), np.cumsum(~is_leaf) - 1)
    inner, leaves = nodes[~is_leaf], nodes[is_leaf]
    return Nodes(
        inner["feature_idx"].astype(int).tolist(),
        inner["num_threshold"].tolist(),
        inner["missing_go_to_left"].astype(bool).tolist(),
        number[inner["left"]].tolist(),
        number[inner["right"]].tolist(),
        inner["count"].astype(int).tolist(),
        leaves["value"].tolist(),
        leaves["count"].astype(int).tolist(),
    )


def _of_catboost(estimator: Any) -> list[Nodes]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.json"
        estimator.save_model(str(file), format="json")
        model: dict[str, Any] = json.loads(file.read_text())
    features = model["features_info"]
    if set(features) - {"float_features"} or "oblivious_trees" not in model:
        raise BadRequest(
            "this CatBoostClassifier has categorical or text features, or trees that are not symmetric",
            'numbers only, and grow_policy="SymmetricTree"',
            "leave cat_features and grow_policy at their defaults; a category is the number of its value",
        )
    nan_right = {f["feature_index"]: f["nan_value_treatment"] == "AsTrue" for f in features["float_features"]}
    column = {f["feature_index"]: int(f["flat_feature_index"]) for f in features["float_features"]}
    scale, bias = model["scale_and_bias"]
    base = float(np.ravel(bias)[0]) if np.size(bias) else 0.0
    return [_constant(base)] + [_of_symmetric(tree, scale, column, nan_right) for tree in model["oblivious_trees"]]


def _of_symmetric(
    tree: Mapping[str, Any], scale: float, column: Mapping[int, int], nan_right: Mapping[int, bool]
) -> Nodes:
    # The last split is the highest bit of a leaf's index, so with it at the root, leaves keep their order.
    splits = list(reversed(tree["splits"]))
    values = [scale * float(value) for value in tree["leaf_values"]]
    if not splits:
        return _constant(values[0])
    depth = len(splits)
    level = [int(np.log2(node + 1)) for node in range(2**depth - 1)]
    inner = 2 ** (depth - 1) - 1

    def child(node: int, side: int) -> int:
        below = 2 * node + 1 + side
        return below if node < inner else ~(below - (2**depth - 1))

    # A tree needs rows in every node; CatBoost has leaves without any.
    leaf_rows = [max(int(np.ceil(weight)), 1) for weight in tree["leaf_weights"]]
    rows = [sum(leaf_rows[start : start + size]) for size, start in _spans(depth)]
    own = [splits[each] for each in level]
    features = [split["float_feature_index"] for split in own]
    return Nodes(
        [column[each] for each in features],
        [float(split["border"]) for split in own],
        [not nan_right[each] for each in features],
        [child(node, 0) for node in range(len(level))],
        [child(node, 1) for node in range(len(level))],
        rows,
        values,
        leaf_rows,
    )


def _spans(depth: int) -> list[tuple[int, int]]:
    """Return the number of leaves below each node of a symmetric tree, and the first of them, level by level."""
    return [(2 ** (depth - at), place * 2 ** (depth - at)) for at in range(depth) for place in range(2**at)]
