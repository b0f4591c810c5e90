"""The setting that names the operator's file of declarations."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class CustomFeatureSettings(BaseSettings):
    """Setting for extra tables and custom features: RENEWCAST_FEATURES. An empty value means none."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    file: Path | None = Field(default=None, validation_alias="RENEWCAST_FEATURES")
