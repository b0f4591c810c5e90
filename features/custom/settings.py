"""A company's own features beside those that ship: named in a file, computed, trained on and served alike.

RENEWCAST_FEATURES names the file; `notebooks/examples/own-features.toml` shows one.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.custom.config_file import parse_own_file, read_own_file
from features.custom.expansion import own_features
from features.definitions.feature import Feature
from features.errors import BadRequest


class OwnSettings(BaseSettings):
    """What the environment says of own features: RENEWCAST_FEATURES. An empty value counts as none."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    file: Path | None = Field(default=None, validation_alias="RENEWCAST_FEATURES")


@lru_cache(maxsize=1)
def current_catalogue() -> Catalogue:
    """The features that ship and those of the file that the environment names, read once.

    ``current_catalogue.cache_clear()`` makes it read again.

    Raises
    ------
    BadRequest
        If the file cannot be read or breaks a rule.
    """
    file = OwnSettings().file
    return CATALOGUE if file is None else with_own(file.expanduser())


def with_own(path: Path, shipped: Catalogue = CATALOGUE) -> Catalogue:
    """``shipped`` and the features of the file at ``path`` after them.

    Raises
    ------
    BadRequest
        If the file cannot be read or breaks a rule; the message names file, feature and what was expected.
    """
    text = read_own_file(path)
    known: dict[str, Feature] = dict(shipped)
    for entry in parse_own_file(text, path.name):
        place = f"{path.name}: feature {entry.name}"
        for feature in own_features(entry, place, known, shipped.windows):
            if feature.name in known:
                whose = "one that ships" if feature.name in shipped else "another in the file"
                raise BadRequest(f"{place}: {feature.name} is also the name of {whose}", "a name of its own")
            known[feature.name] = feature
    return Catalogue(tuple(known.values()), shipped.windows, text)
