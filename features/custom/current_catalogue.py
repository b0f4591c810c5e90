"""The current catalogue: the built-in features and the custom features of the file in RENEWCAST_FEATURES.

`notebooks/examples/own-features.toml` is an example of such a file.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.contract.current_contract import current_declarations
from features.contract.declarations import Declarations, read_declarations
from features.contract.schema import TABLES
from features.custom.config_file import parse_custom_file
from features.custom.feature_builder import build_features
from features.custom.function_features import build_function_feature
from features.definitions.feature import Feature
from features.errors import BadRequest


def current_catalogue() -> Catalogue:
    """Return the built-in features and those of the file in RENEWCAST_FEATURES.

    The file is read once; call `features.contract.current_contract.reset_declarations` to read it again.

    Raises
    ------
    BadRequest
        If the file cannot be read or is invalid.
    """
    declarations = current_declarations()
    return CATALOGUE if declarations is None else _catalogue_of(declarations)


def with_custom_features(path: Path, built_in: Catalogue = CATALOGUE) -> Catalogue:
    """Return the catalogue of ``built_in`` followed by the features of the file at ``path``.

    Features of an extra table are unknown in signals that were read without its declaration: RENEWCAST_FEATURES names
    the file when signals are read.

    Raises
    ------
    BadRequest
        If the file cannot be read or is invalid; the message names the file, the feature and what was expected.
    """
    return _with_features(read_declarations(path), built_in)


@lru_cache(maxsize=1)
def _catalogue_of(declarations: Declarations) -> Catalogue:
    return _with_features(declarations, CATALOGUE)


def _with_features(declarations: Declarations, built_in: Catalogue) -> Catalogue:
    tables = TABLES | {table.name: table for table in declarations.tables}
    declared: dict[str, Feature] = dict(built_in)
    for entry in parse_custom_file(declarations):
        place = f"{declarations.file}: feature {entry.name}"
        for feature in build_features(entry, place, tables, declared, built_in.windows):
            _add(feature, place, declared, built_in)
    for given, function in declarations.functions:
        feature = build_function_feature(given, function, declarations, tables, declared)
        _add(feature, f"{declarations.file}: feature {feature.name}", declared, built_in)
    return Catalogue(tuple(declared.values()), built_in.windows, declarations.text, declarations.path.suffix)


def _add(feature: Feature, place: str, declared: dict[str, Feature], built_in: Catalogue) -> None:
    if feature.name in declared:
        whose = "a built-in feature" if feature.name in built_in else "another feature in the file"
        raise BadRequest(f"{place}: {feature.name} is also the name of {whose}", "a unique name")
    declared[feature.name] = feature
