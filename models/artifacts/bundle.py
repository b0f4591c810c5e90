"""Bundles: one trained model stored as a folder of plain data, and checked as a whole when it is loaded.

===================  ==============================================================================================
``manifest.json``    format, target, version, horizon, cut-off, base rate, metrics, gates, and the SHA-256 of every
                     other file
``model.txt``        the booster in LightGBM's text format
``calibrator.json``  the calibrator and its resamples, see `models.scorer.scorer`
``schema.json``      the features in the booster's order, and the distribution of the training portfolio, see
                     `models.peer_groups.peers`
``rubric.toml``      the rubric of the health score
``health.json``      the churn rates of the rubrics' scores, and learned weights, see
                     `models.health.score_calibration`
``card.json``        the model card, see `models.artifacts.model_card`; missing in old bundles
``member-N.onnx``    the models of an ensemble in the ONNX format; only in bundles of registered estimators
``renewals.json``    the renewal model, see `models.renewals.renewal_model`; only in bundles of churn that have one
===================  ==============================================================================================
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm

from features.errors import BundleError
from features.utils.atomic_files import new_folder
from models.artifacts.bundle_files import (
    CARD,
    MANIFEST,
    RETRAIN,
    Manifest,
    read_bundle_files,
    unreadable,
)
from models.artifacts.model_card import ModelCard
from models.artifacts.portfolio_identity import PortfolioIdentity
from models.explain.comparables import Comparables
from models.explain.treeshap import LazyTreeShap
from models.health.rubric import Rubric, rubric_from_text
from models.health.rubric_schema import RubricError
from models.health.score_calibration import HealthFacts
from models.peer_groups.peers import Peers
from models.renewals.renewal_file import FILE as RENEWALS
from models.renewals.renewal_model import RenewalModel
from models.scorer.errors import ScorerError
from models.scorer.scorer import Scorer
from models.scorer.strict_files import read_json
from models.targets import Target

if TYPE_CHECKING:
    from features.definitions.feature import Feature

SET_FEATURES = (
    "if these are custom features, set RENEWCAST_FEATURES to the file that the model was trained with; otherwise "
    + RETRAIN
)


@dataclass(frozen=True)
class BundleContents:
    """The contents of a bundle; fields have the same meaning as in `Manifest`.

    ``model_text`` is ``booster.model_to_string()``; ``schema`` comes from `bundle_schema`; ``calibrator`` holds
    ``kind`` (sigmoid, beta or isotonic), ``parameters`` and ``resamples``; ``renewals`` comes from
    `models.renewals.renewal_model.renewal_model_json`; ``onnx`` holds the ONNX models by file name.
    """

    target: Target
    version: str
    horizon_days: int
    grace_days: int
    trained_through: datetime
    created_at: datetime
    catalogue_version: str
    base_rate: float
    metrics: Mapping[str, Any]
    gates: Mapping[str, Any]
    model_text: str
    calibrator: Mapping[str, Any]
    schema: Mapping[str, Any]
    rubric: Rubric
    health: HealthFacts = field(default_factory=HealthFacts)
    card: ModelCard | None = None
    portfolio: PortfolioIdentity | None = None
    onnx: Mapping[str, bytes] = field(default_factory=dict)
    renewals: bytes | None = None
    newest_snapshots: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A bundle that has passed every check."""

    folder: Path
    manifest: Manifest
    scorer: Scorer
    peers: Peers
    rubric: Rubric
    health: HealthFacts
    card: ModelCard | None = None
    comparables: Comparables = field(default_factory=Comparables)
    renewals: RenewalModel | None = None

    @cached_property
    def gains(self) -> Mapping[str, float]:
        """Share of the model's gain by feature; see `models.scorer.scorer.Scorer.gain`."""
        return self.scorer.gain(self.peers.log_spreads(self.scorer.features))

    @cached_property
    def fingerprint(self) -> str:
        """One hash of everything that affects predictions: target, version and the hashes of the files."""
        m = self.manifest
        content = json.dumps([m.target, m.version, sorted((n, digest) for n, digest in m.files.items() if n != CARD)])
        return hashlib.sha256(content.encode()).hexdigest()


def bundle_schema(
    features: Sequence[str],
    categories: Mapping[str, Sequence[str]],
    peers: Peers,
    catalogue: Mapping[str, Feature],
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the content of ``schema.json``.

    Parameters
    ----------
    features : the names of the features, in the order of the booster's columns.
    categories : the values of each categorical feature; the code of a value is its index in the list.
    peers : the latest training portfolio (`Peers.of` over all numeric features of the catalogue).
    catalogue : the kind and unit of each feature, and the definition of custom features.
    more : other keys that are read with the model: "members" (the trees and the linear model of each), "horizons",
        "involuntary", "comparables".
    """
    entries = feature_entries(features, categories, catalogue)
    return {"features": entries, **(more or {}), "reference": peers.to_json()}


def feature_entries(
    features: Sequence[str], categories: Mapping[str, Sequence[str]], catalogue: Mapping[str, Feature]
) -> list[dict[str, Any]]:
    """Return the key "features" of a schema; the parameters are those of `bundle_schema`."""
    entries: list[dict[str, Any]] = []
    for name in features:
        feature = catalogue[name]
        entry: dict[str, Any] = {"name": name, "kind": feature.kind, "unit": feature.unit}
        if feature.definition:
            entry["definition"] = feature.definition
        if name in categories:
            entry["categories"] = list(categories[name])
        entries.append(entry)
    return entries


def write_bundle(folder: Path, parts: BundleContents, catalogue: Mapping[str, Feature] | None = None) -> Bundle:
    """Write a bundle atomically. Only a bundle that `load_bundle` accepts is written.

    Parameters
    ----------
    folder : the new folder.
    parts : the content of the bundle.
    catalogue : the features to validate against; by default the current catalogue.

    Returns
    -------
    Bundle

    Raises
    ------
    BundleError : the parts do not match each other or the catalogue.
    HomeError : the folder already exists or cannot be written.
    """
    contents = {
        "model.txt": parts.model_text.encode(),
        "calibrator.json": _json(parts.calibrator),
        "schema.json": _json(parts.schema),
        "rubric.toml": parts.rubric.text.encode(),
        "health.json": _json(parts.health.model_dump(mode="json")),
        **parts.onnx,
    }
    if parts.card is not None:
        contents[CARD] = _json(parts.card.model_dump(mode="json"))
    if parts.renewals is not None:
        contents[RENEWALS] = parts.renewals
    manifest = Manifest(
        target=parts.target,
        version=parts.version,
        horizon_days=parts.horizon_days,
        grace_days=parts.grace_days,
        trained_through=parts.trained_through,
        created_at=parts.created_at,
        catalogue_version=parts.catalogue_version,
        base_rate=parts.base_rate,
        metrics=dict(parts.metrics),
        gates=dict(parts.gates),
        newest_snapshots=dict(parts.newest_snapshots),
        lightgbm_version=lightgbm.__version__,
        files={name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
        portfolio=None if parts.portfolio is None else parts.portfolio.for_bundle(),
    )
    contents[MANIFEST] = _json(manifest.model_dump(mode="json"))
    with new_folder(folder) as temporary:
        for name, content in contents.items():
            (temporary / name).write_bytes(content)
        load_bundle(temporary, parts.target, catalogue)
    return load_bundle(folder, parts.target, catalogue)


def load_bundle(folder: Path, target: Target | None = None, catalogue: Mapping[str, Feature] | None = None) -> Bundle:
    """Load a bundle and check it completely.

    Parameters
    ----------
    target : the target that it must predict; any if None.
    catalogue : the current features; those of the deployment by default.

    Raises
    ------
    BundleError : a file is missing, unexpected, changed or unreadable, the format is unknown, the target differs, or
        the features differ from the catalogue. The message names the file and the difference.
    """
    if catalogue is None:
        # Imported here because the catalogue loads the query engine.
        from features.custom.current_catalogue import current_catalogue

        catalogue = current_catalogue()
    files = read_bundle_files(folder, target)
    manifest, contents = files.manifest, files.contents
    try:
        schema = read_json(contents["schema.json"], "schema.json")
        calibrator = read_json(contents["calibrator.json"], "calibrator.json")
        model = contents["model.txt"].decode()
        scorer = Scorer.from_texts(model, schema, calibrator, LazyTreeShap.by_member, files.members)
        stored = contents.get(RENEWALS)
        renewals = None if stored is None else RenewalModel.from_json(stored)
    except (ScorerError, UnicodeDecodeError) as error:
        raise unreadable(folder, error) from error
    _check_catalogue(folder / "schema.json", schema["features"], catalogue)
    for entries in () if renewals is None else renewals.features.values():
        _check_catalogue(folder / RENEWALS, entries, catalogue)
    try:
        comparables = Comparables.from_json(schema.get("comparables"), scorer.members, len(scorer.features))
    except ScorerError as error:
        raise BundleError(f"{folder}: {error}", cure=RETRAIN) from error
    try:
        peers = Peers.from_json(schema.get("reference"))
    except ValueError as error:
        raise BundleError(f"{folder / 'schema.json'}: reference: {error}", cure=RETRAIN) from error
    try:
        rubric = rubric_from_text(contents["rubric.toml"].decode(errors="replace"), "rubric.toml", catalogue)
    except RubricError as error:
        raise BundleError(f"{folder}: {error.found}", error.expected, error.cure) from error
    try:
        health = HealthFacts.from_json(contents["health.json"])
    except ValueError as error:
        raise BundleError(f"{folder / 'health.json'}: {error}", cure=RETRAIN) from error
    if facts := health.of(rubric.name, rubric.version):
        rubric = replace(rubric, learned=facts.learned.weights if facts.learned else None)
    return Bundle(folder, manifest, scorer, peers, rubric, health, files.card(), comparables, renewals)


def _check_catalogue(file: Path, entries: Sequence[Mapping[str, Any]], catalogue: Mapping[str, Feature]) -> None:
    differences = []
    for entry in entries:
        now = catalogue.get(entry["name"])
        if now is None:
            differences.append(f"{entry['name']} is not in the catalogue")
        elif now.kind != entry["kind"]:
            differences.append(f"{entry['name']} is a {entry['kind']} in the bundle and a {now.kind} in the catalogue")
        elif now.unit != entry.get("unit"):
            differences.append(
                f"{entry['name']} is in {entry.get('unit')} in the bundle and in {now.unit} in the catalogue"
            )
        elif now.definition != entry.get("definition", ""):
            differences.append(f"{entry['name']} had another definition when the bundle was created")
    if differences:
        raise BundleError(
            f"{file} was created for another catalogue: {'; '.join(differences)}",
            "features of the current catalogue (including RENEWCAST_FEATURES), of the same kind, unit and definition",
            SET_FEATURES if any(entry["name"] not in catalogue for entry in entries) else RETRAIN,
        )


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()
