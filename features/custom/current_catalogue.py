"""The current catalogue: the built-in features and the custom features of the file in RENEWCAST_FEATURES.

`notebooks/examples/own-features.toml` is an example of such a file.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.custom.config_file import parse_custom_file, read_custom_file
from features.custom.feature_builder import build_features
from features.definitions.feature import Feature
from features.errors import BadRequest


class CustomFeatureSettings(BaseSettings):
    """Setting for custom features: RENEWCAST_FEATURES. An empty value means none."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    file: Path | None = Field(default=None, validation_alias="RENEWCAST_FEATURES")


@lru_cache(maxsize=1)
def current_catalogue() -> Catalogue:
    """Return the built-in features and those of the file in RENEWCAST_FEATURES, read once.

    Call ``current_catalogue.cache_clear()`` to read the file again.

    Raises
    ------
    BadRequest
        If the file cannot be read or is invalid.
    """
    file = CustomFeatureSettings().file
    return CATALOGUE if file is None else with_custom_features(file.expanduser())


def with_custom_features(path: Path, built_in: Catalogue = CATALOGUE) -> Catalogue:
    """Return the catalogue of ``built_in`` followed by the features of the file at ``path``.

    Raises
    ------
    BadRequest
        If the file cannot be read or is invalid; the message names the file, the feature and what was expected.
    """
    text = read_custom_file(path)
    declared: dict[str, Feature] = dict(built_in)
    for entry in parse_custom_file(text, path.name):
        place = f"{path.name}: feature {entry.name}"
        for feature in build_features(entry, place, declared, built_in.windows):
            if feature.name in declared:
                whose = "a built-in feature" if feature.name in built_in else "another feature in the file"
                raise BadRequest(f"{place}: {feature.name} is also the name of {whose}", "a unique name")
            declared[feature.name] = feature
    return Catalogue(tuple(declared.values()), built_in.windows, text)
