import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from features.catalogue.catalogue import Catalogue
from features.errors import BundleError, HomeError
from models.artifacts.bundle import Bundle, BundleContents, bundle_schema, load_bundle, write_bundle
from models.peer_groups.peers import Peers
from tests.models.conftest import make_portfolio

Parts = Callable[..., BundleContents]


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may change."""
    return Path(shutil.copytree(bundle.folder, tmp_path / "3"))


def _change(folder: Path, name: str, change: Callable[[Any], object]) -> None:
    """Change a JSON file and, unless it is the manifest, update its hash in the manifest."""
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))
    if name != "manifest.json":
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        _change(folder, "manifest.json", lambda manifest: manifest["files"].update({name: digest}))


def test_written_bundles_are_read_back(bundle: Bundle, catalogue: Catalogue, portfolio: pd.DataFrame) -> None:
    again = load_bundle(bundle.folder, "churn", catalogue)
    assert again.manifest == bundle.manifest
    assert again.peers == bundle.peers
    assert again.fingerprint == bundle.fingerprint
    np.testing.assert_array_equal(again.scorer.predict(portfolio), bundle.scorer.predict(portfolio))
    assert sorted(os.listdir(bundle.folder)) == sorted(
        ["manifest.json", "model.txt", "calibrator.json", "schema.json", "rubric.toml", "health.json"]
    )


def test_manifest_describes_the_bundle(bundle: Bundle) -> None:
    content = json.loads((bundle.folder / "manifest.json").read_text())
    assert (content["target"], content["version"], content["horizon_days"], content["base_rate"]) == ("churn", "3", 90, 0.2)
    assert content["trained_through"] == "2025-10-01T00:00:00Z"
    for name, digest in content["files"].items():
        assert hashlib.sha256((bundle.folder / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", ["manifest.json", "model.txt", "calibrator.json", "schema.json", "rubric.toml", "health.json"])
def test_missing_files_are_named(folder: Path, catalogue: Catalogue, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"lacks {name}"):
        load_bundle(folder, catalogue=catalogue)


def test_extra_files_are_named(folder: Path, catalogue: Catalogue) -> None:
    (folder / "model.pkl").write_text("")
    with pytest.raises(BundleError, match=r"also contains model\.pkl"):
        load_bundle(folder, catalogue=catalogue)


@pytest.mark.parametrize("name", ["model.txt", "calibrator.json", "schema.json", "rubric.toml", "health.json"])
def test_a_changed_byte_is_detected(folder: Path, catalogue: Catalogue, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(BundleError, match=rf"{name} was changed"):
        load_bundle(folder, catalogue=catalogue)


def test_links_are_rejected(folder: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    os.rename(folder / "model.txt", tmp_path / "elsewhere.txt")
    (folder / "model.txt").symlink_to(tmp_path / "elsewhere.txt")
    with pytest.raises(BundleError, match=r"model\.txt is a link"):
        load_bundle(folder, catalogue=catalogue)


def test_missing_folder_is_reported(tmp_path: Path, catalogue: Catalogue) -> None:
    with pytest.raises(BundleError, match="there is no bundle at"):
        load_bundle(tmp_path / "4", catalogue=catalogue)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format_version=1), "has format version 1\nExpected: 3"),
        (lambda m: m.pop("format_version"), "has format version None"),
        (lambda m: m.pop("base_rate"), "key base_rate: Field required"),
        (lambda m: m.update(base_rate=1.0), "key base_rate"),
        (lambda m: m.update(target="love"), "key target"),
        (lambda m: m.update(horizon_days="90"), "key horizon_days"),
        (lambda m: m.update(more=1), "key more"),
        (lambda m: m["files"].pop("model.txt"), "key files does not list"),
    ],
)
def test_invalid_manifests_are_named(
    folder: Path, catalogue: Catalogue, change: Callable[[Any], object], message: str
) -> None:
    _change(folder, "manifest.json", change)
    with pytest.raises(BundleError, match=r"manifest\.json") as caught:
        load_bundle(folder, catalogue=catalogue)
    assert message in str(caught.value)


def test_manifests_that_are_not_json_are_named(folder: Path, catalogue: Catalogue) -> None:
    (folder / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match=r"manifest\.json is not strict JSON"):
        load_bundle(folder, catalogue=catalogue)


def test_bundles_of_another_target_are_rejected(folder: Path, catalogue: Catalogue) -> None:
    with pytest.raises(BundleError, match=r"a churn model\nExpected: expansion"):
        load_bundle(folder, "expansion", catalogue)


def test_unknown_calibrator_kinds_are_named(folder: Path, catalogue: Catalogue) -> None:
    _change(folder, "calibrator.json", lambda c: c.update(kind="spline"))
    with pytest.raises(BundleError, match=r"calibrator\.json: its kind"):
        load_bundle(folder, catalogue=catalogue)


def test_broken_references_are_named(folder: Path, catalogue: Catalogue) -> None:
    _change(folder, "schema.json", lambda s: s.pop("reference"))
    with pytest.raises(BundleError, match=r"schema\.json: reference"):
        load_bundle(folder, catalogue=catalogue)


def test_every_difference_from_the_catalogue_is_named(bundle: Bundle, catalogue: Catalogue) -> None:
    changed = [
        replace(feature, kind="category") if name == "contract.arr" else feature
        for name, feature in catalogue.items()
        if name != "outcomes.nps_last"
    ]
    changed = [replace(f, unit="weeks") if f.name == "contract.tenure_days" else f for f in changed]
    with pytest.raises(BundleError) as caught:
        load_bundle(bundle.folder, catalogue=Catalogue(tuple(changed)))
    assert "outcomes.nps_last is not in the catalogue" in caught.value.found
    assert "contract.arr is a number in the bundle and a category in the catalogue" in caught.value.found
    assert "contract.tenure_days is in days in the bundle and in weeks in the catalogue" in caught.value.found


def test_changed_feature_definitions_are_rejected(
    parts: Parts, peers: Peers, catalogue: Catalogue, tmp_path: Path
) -> None:
    """A company may change the definition of a custom feature without renaming it."""

    def defined(definition: str) -> Catalogue:
        own = replace(catalogue["outcomes.nps_last"], definition=definition)
        return Catalogue(tuple(own if f.name == own.name else f for f in catalogue.values()))

    schema = bundle_schema(list(catalogue), {"contract.plan": ["basic", "pro", "team"]}, peers, defined("one"))
    bundle = write_bundle(tmp_path / "3", parts(schema=schema), defined("one"))
    for other in (catalogue, defined("another")):
        with pytest.raises(BundleError, match=r"outcomes\.nps_last had another definition"):
            load_bundle(bundle.folder, catalogue=other)


def test_rubrics_with_unknown_signals_are_rejected(parts: Parts, catalogue: Catalogue, tmp_path: Path) -> None:
    usual = parts()
    forged = replace(usual.rubric, text=usual.rubric.text.replace("outcomes.nps_last", "outcomes.luck"))
    with pytest.raises(BundleError, match=r"rubric\.toml.*outcomes\.luck"):
        write_bundle(tmp_path / "3", parts(rubric=forged), catalogue)
    assert os.listdir(tmp_path) == []


def test_inconsistent_contents_are_never_written(parts: Parts, catalogue: Catalogue, tmp_path: Path) -> None:
    schema = json.loads(json.dumps(parts().schema))
    schema["features"].reverse()
    with pytest.raises(BundleError, match="same features in the same order"):
        write_bundle(tmp_path / "3", parts(schema=schema), catalogue)
    assert os.listdir(tmp_path) == []


def test_versions_are_never_overwritten(bundle: Bundle, parts: Parts, catalogue: Catalogue) -> None:
    with pytest.raises(HomeError, match="already exists"):
        write_bundle(bundle.folder, parts(), catalogue)
    assert load_bundle(bundle.folder, catalogue=catalogue).manifest == bundle.manifest


def test_interrupted_writes_leave_no_files(
    parts: Parts, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(tmp_path / "3", parts(), catalogue)
    assert os.listdir(tmp_path) == []


def test_ensembles_are_read_back(ensemble: Bundle, catalogue: Catalogue, portfolio: pd.DataFrame) -> None:
    again = load_bundle(ensemble.folder, "churn", catalogue)
    assert (again.manifest.format_version, again.scorer.members) == (6, 3)
    np.testing.assert_array_equal(again.scorer.predict(portfolio), ensemble.scorer.predict(portfolio))
    assert set(again.comparables.means) == set(ensemble.comparables.means) > {"all"}
    for name, means in again.comparables.means.items():
        assert means.shape == (3, 7)
        np.testing.assert_array_equal(means, ensemble.comparables.means[name])


def test_bundles_of_format_4_still_load_and_score(parts: Parts, catalogue: Catalogue, tmp_path: Path) -> None:
    """A single model with a constant spread; its scores are those that the release of that format gave."""
    usual = parts()
    start = {
        "intercept": -1.5,
        "numbers": {name: [0.2, 1.0, 0.5, 0.1, 0.3] for name, feature in catalogue.items() if feature.kind == "number"},
        "levels": {"contract.plan": [[0.3, -0.1, 0.2], 0.05]},
    }
    schema = dict(usual.schema) | {"start": start, "trees_share": 0.5}
    contents = parts(schema=schema, calibrator=dict(usual.calibrator) | {"spread": 0.85})
    folder = write_bundle(tmp_path / "3", contents, catalogue).folder
    _change(folder, "manifest.json", lambda m: m.update(format_version=4))
    bundle = load_bundle(folder, "churn", catalogue)
    assert (bundle.manifest.format_version, bundle.scorer.members, bundle.comparables.means) == (4, 1, {})
    portfolio = make_portfolio(50)
    matrix = bundle.scorer.encode(portfolio).matrix
    # By hand: half of the trees, plus the linear model over signed logarithms.
    unknown = np.isnan(matrix[:, :6])
    scaled = np.where(unknown, 0.5, np.sign(matrix[:, :6]) * np.log1p(np.abs(np.nan_to_num(matrix[:, :6]))))
    linear = (0.2 * (scaled - 1.0) + 0.1 * (unknown - 0.3)).sum(axis=1) + np.array([0.3, -0.1, 0.2])[matrix[:, 6].astype(int)] - 0.05
    trees = lightgbm.Booster(model_str=usual.model_text).predict(matrix, raw_score=True)
    raw = 0.5 * np.asarray(trees) + linear - 1.5
    np.testing.assert_allclose(bundle.scorer.raw(matrix), raw, rtol=0, atol=1e-12)
    p, low, high = bundle.scorer.predict(portfolio)
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-(0.9 * raw - 0.2))), rtol=0, atol=1e-12)
    # The constant spread, in log-odds before calibration, widens the interval.
    plain = bundle.scorer.calibrate(raw)
    assert (low < plain.low).all()
    assert (high > plain.high).all()
    assert ((low < p) & (p < high)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["members"][0].update(trees=4), "the members have 14 trees, and model.txt has 15"),
        (lambda s: s["members"][0].update(trees=-1), "every member needs its number of trees"),
        (lambda s: s["members"][0].update(trees=True), "every member needs its number of trees"),
        (lambda s: s["members"][1]["start"]["numbers"].pop("contract.arr"), "start does not fit the features"),
        (lambda s: s.update(members=[]), "must be a list of 1 to 50 models"),
        (lambda s: s.update(members=s["members"] * 20), "must be a list of 1 to 50 models"),
        (lambda s: s["comparables"]["all"].pop(), "must hold 3 times 7 numbers per segment"),
        (lambda s: s["comparables"].update(all="typical"), "must hold"),
    ],
)
def test_inconsistent_ensembles_are_named(
    ensemble: Bundle, catalogue: Catalogue, tmp_path: Path, change: Callable[[Any], object], message: str
) -> None:
    folder = Path(shutil.copytree(ensemble.folder, tmp_path / "4"))
    _change(folder, "schema.json", change)
    with pytest.raises(BundleError, match=r"schema\.json") as caught:
        load_bundle(folder, catalogue=catalogue)
    assert message in str(caught.value)
