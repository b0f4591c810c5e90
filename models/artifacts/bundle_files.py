"""The files of a bundle, checked without the libraries of its models: its manifest, its hashes and its model card."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from features.errors import BundleError
from features.utils.validation_errors import first_validation_error
from models.artifacts.model_card import ModelCard
from models.artifacts.portfolio_identity import PortfolioIdentity
from models.renewals.renewal_file import FILE as RENEWALS
from models.scorer.errors import ScorerError
from models.scorer.onnx_model import MEMBER_FILE
from models.scorer.strict_files import JSON_LIMIT, MODEL_LIMIT, read_bounded, read_json
from models.targets import Target

FORMAT_VERSION: Final = 6
READABLE_VERSIONS: Final = (3, 4, 5, FORMAT_VERSION)
"""Bundles of version 3 have no portfolio identity, those of versions 3 and 4 a single model in place of members, and
only those of version 6 may have a renewal model or ONNX models."""
MANIFEST = "manifest.json"
FILES: dict[str, int] = {
    "model.txt": MODEL_LIMIT,
    "calibrator.json": JSON_LIMIT,
    "schema.json": JSON_LIMIT,
    "rubric.toml": 2**20,
    "health.json": JSON_LIMIT,
}
CARD = "card.json"
"""Optional. It does not affect predictions, so it is not part of the fingerprint."""
OPTIONAL = {CARD: JSON_LIMIT, RENEWALS: MODEL_LIMIT}
"""Files that a bundle may lack, with their maximum sizes in bytes."""
RETRAIN = "train again with this version of Renewcast, or promote another version"
REPLACE = "restore the folder from where it was created, or promote another version"


class Manifest(BaseModel):
    """The manifest of a bundle.

    ``horizon_days`` and ``grace_days`` define the label; no data at or after ``trained_through`` (UTC) was read;
    ``base_rate`` is the rate of the average account (0 to 1), which the probabilities are calibrated to; ``metrics``
    and ``gates`` are those of the training run, by name; ``newest_snapshots`` is the newest training snapshot (ISO 8601
    date) by horizon in days, empty in bundles of format versions up to 5; ``files`` holds the SHA-256 of each file in
    hex; ``portfolio`` is the portfolio of the training accounts, None in bundles of format version 3.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format_version: Literal[3, 4, 5, 6] = FORMAT_VERSION
    target: Target
    version: str
    horizon_days: Annotated[int, Field(gt=0)]
    grace_days: Annotated[int, Field(ge=0)]
    trained_through: AwareDatetime
    created_at: AwareDatetime
    catalogue_version: str
    base_rate: Annotated[float, Field(gt=0, lt=1)]
    metrics: dict[str, JsonValue]
    gates: dict[str, JsonValue]
    newest_snapshots: dict[str, str] = {}
    lightgbm_version: str
    files: dict[str, str]
    portfolio: PortfolioIdentity | None = None


@dataclass(frozen=True)
class BundleFiles:
    """The files of a bundle as read: each has the hash of the manifest, but their contents are not checked."""

    folder: Path
    manifest: Manifest
    contents: Mapping[str, bytes]

    @property
    def members(self) -> dict[str, bytes]:
        """The ONNX models by file name."""
        return {name: content for name, content in self.contents.items() if MEMBER_FILE.fullmatch(name)}

    def card(self) -> ModelCard | None:
        """Return the model card; None for old bundles.

        Raises
        ------
        BundleError : the card is invalid.
        """
        try:
            return ModelCard.from_json(self.contents[CARD]) if CARD in self.contents else None
        except ValueError as error:
            raise BundleError(f"{self.folder / CARD}: {error}", cure=REPLACE) from error


@dataclass(frozen=True)
class BundleDocuments:
    """What a bundle says about its model: the manifest and the model card."""

    folder: Path
    manifest: Manifest
    card: ModelCard | None


def read_bundle_files(folder: Path, target: Target | None = None) -> BundleFiles:
    """Read the files of a bundle, and check their names and hashes.

    Parameters
    ----------
    folder : the folder of the bundle.
    target : the target that it must predict; any if None.

    Raises
    ------
    BundleError : a file is missing, unexpected, changed or unreadable, the format is unknown, or the target differs.
    """
    _check_names(folder)
    try:
        manifest = _read_manifest(folder)
        if target is not None and manifest.target != target:
            raise BundleError(
                f"{folder / MANIFEST} belongs to a {manifest.target} model", target, f"use a bundle for {target}"
            )
        optional = {n: limit for n, limit in OPTIONAL.items() if n in manifest.files or (folder / n).exists()}
        members = {name: MODEL_LIMIT for name in manifest.files if MEMBER_FILE.fullmatch(name)}
        limits = FILES | optional | members
        contents = {name: read_bounded(folder / name, limit) for name, limit in limits.items()}
    except ScorerError as error:
        raise unreadable(folder, error) from error
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != manifest.files.get(name):
            raise BundleError(
                f"{folder / name} was changed after it was written", f"the SHA-256 hash in {MANIFEST}", REPLACE
            )
    return BundleFiles(folder, manifest, contents)


def read_bundle_documents(folder: Path, target: Target | None = None) -> BundleDocuments:
    """Read the manifest and the model card of a bundle. The model itself is not loaded.

    Parameters
    ----------
    folder, target : as for `read_bundle_files`.

    Raises
    ------
    BundleError : as by `read_bundle_files`, or the card is invalid.
    """
    files = read_bundle_files(folder, target)
    return BundleDocuments(folder, files.manifest, files.card())


def unreadable(folder: Path, error: Exception) -> BundleError:
    """Return the error for a bundle whose content cannot be read."""
    return BundleError(f"{folder}: {error}", "a bundle written by `renewcast train`", RETRAIN)


def _check_names(folder: Path) -> None:
    if not folder.is_dir():
        raise BundleError(f"there is no bundle at {folder}", "a folder", "train and promote a model")
    entries = {entry.name: entry for entry in folder.iterdir()}
    wanted = {MANIFEST, *FILES}
    if missing := sorted(wanted - set(entries)):
        raise BundleError(f"{folder} lacks {', '.join(missing)}", f"the files {', '.join(sorted(wanted))}", REPLACE)
    members = {name for name in entries if MEMBER_FILE.fullmatch(name)}
    if extra := sorted(set(entries) - wanted - members - set(OPTIONAL)):
        raise BundleError(
            f"{folder} also contains {', '.join(extra)}", f"only {', '.join(sorted(wanted))}", "remove the other files"
        )
    for name, entry in entries.items():
        if not stat.S_ISREG(entry.lstat().st_mode):
            raise BundleError(f"{folder / name} is a link or a folder", "a regular file", REPLACE)


def _read_manifest(folder: Path) -> Manifest:
    content = read_bounded(folder / MANIFEST, JSON_LIMIT)
    raw = read_json(content, MANIFEST)
    if raw.get("format_version") not in READABLE_VERSIONS:
        readable = " or ".join(map(str, READABLE_VERSIONS))
        raise BundleError(f"{folder / MANIFEST} has format version {raw.get('format_version')!r}", readable, RETRAIN)
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise BundleError(f"{folder / MANIFEST}: {first_validation_error(error)}", cure=REPLACE) from error
    members = {name for name in manifest.files if MEMBER_FILE.fullmatch(name)}
    if unlisted := sorted({entry.name for entry in folder.glob("member-*.onnx")} - members):
        raise BundleError(f"{folder} also contains {', '.join(unlisted)}", f"only the files in {MANIFEST}", REPLACE)
    if set(manifest.files) - members - set(OPTIONAL) != set(FILES):
        raise BundleError(f"{folder / MANIFEST}: key files does not list {', '.join(FILES)}", cure=REPLACE)
    return manifest
