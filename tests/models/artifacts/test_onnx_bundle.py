"""Bundles with members in the ONNX format: read back, served and explained, and never unpickled."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from features.catalogue.catalogue import Catalogue
from features.errors import BundleError
from models.artifacts.bundle import Bundle, BundleContents, load_bundle, write_bundle
from training.estimators.onnx_export import onnx_of
from training.estimators.tree_export import booster_text

Parts = Callable[..., BundleContents]


@pytest.fixture(scope="module")
def contents(parts: Parts, bundle: Bundle, portfolio: pd.DataFrame) -> dict[str, Any]:
    """Two logistic regressions as members, fitted on halves of the portfolio."""
    names = list(bundle.scorer.features)
    matrix = bundle.scorer.encode(portfolio).matrix
    y = (bundle.scorer.raw(matrix) > np.median(bundle.scorer.raw(matrix))).astype(int)
    members = {}
    for half in (0, 1):
        X = pd.DataFrame(matrix[half::2], columns=names)
        fitted = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(X, y[half::2])
        members[f"member-{half}.onnx"] = onnx_of(fitted, names)
    schema = dict(parts().schema) | {
        "members": [{"trees": 0, "onnx": name} for name in members],
        "typical": [[None if np.isnan(v) else v for v in row] for row in matrix[:3].tolist()],
        "importance": {name: 1 / len(names) for name in names},
    }
    return {"schema": schema, "onnx": members, "model_text": booster_text([], names)}


@pytest.fixture(scope="module")
def onnx_bundle(
    tmp_path_factory: pytest.TempPathFactory, parts: Parts, contents: dict[str, Any], catalogue: Catalogue
) -> Bundle:
    return write_bundle(tmp_path_factory.mktemp("home") / "5", parts(version="5", **contents), catalogue)


def test_members_are_read_back(onnx_bundle: Bundle, portfolio: pd.DataFrame, catalogue: Catalogue) -> None:
    again = load_bundle(onnx_bundle.folder, "churn", catalogue)
    assert again.scorer.members == 2
    first, second = again.scorer.predict(portfolio), onnx_bundle.scorer.predict(portfolio)
    np.testing.assert_array_equal(first.probability, second.probability)
    assert np.ptp(first.probability) > 0.3
    assert sum(again.gains.values()) == pytest.approx(1)
    matrix = again.scorer.encode(portfolio.head(9)).matrix
    parts = again.scorer.contributions(matrix)
    np.testing.assert_allclose(parts.sum(axis=1), again.scorer.raw(matrix), atol=1e-6)
    alone = again.scorer.contributions(again.scorer.encode(portfolio.iloc[[4]]).matrix)
    np.testing.assert_array_equal(alone[0], parts[4])


def _pickle(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(pickle.dumps({}))


def _more(folder: Path) -> None:
    shutil.copy(folder / "member-0.onnx", folder / "member-9.onnx")


def _replaced(folder: Path) -> None:
    """A pickle in place of a model, with its hash in the manifest."""
    content = pickle.dumps(LogisticRegression())
    (folder / "member-0.onnx").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["member-0.onnx"] = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _changed(folder: Path) -> None:
    (folder / "member-1.onnx").write_bytes((folder / "member-0.onnx").read_bytes())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_pickle, "also contains model.pkl"),
        (_more, "also contains member-9.onnx"),
        (_replaced, "member-0.onnx is not a model that ONNX Runtime"),
        (_changed, "member-1.onnx was changed after it was written"),
    ],
)
def test_other_content_is_refused(
    onnx_bundle: Bundle, tmp_path: Path, catalogue: Catalogue, change: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "5"
    shutil.copytree(onnx_bundle.folder, folder)
    change(folder)
    with pytest.raises(BundleError, match=message):
        load_bundle(folder, "churn", catalogue)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"typical": []}, "need typical rows"),
        ({"typical": [[1.0]]}, "typical must hold rows of 7 numbers"),
        ({"members": [{"trees": 0, "onnx": "member-0.onnx"}] * 2}, "names an ONNX model that is not there"),
        ({"members": [{"trees": 0, "onnx": "member-0.onnx"}]}, "no member has the model member-1.onnx"),
        ({"importance": {}}, "importance must hold a number for each feature"),
    ],
)
def test_schemas_that_do_not_fit_are_refused(
    parts: Parts, contents: dict[str, Any], tmp_path: Path, catalogue: Catalogue, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        write_bundle(tmp_path / "5", parts(**(contents | {"schema": contents["schema"] | change})), catalogue)
