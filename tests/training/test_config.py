"""Training settings: defaults, a file that overrides them, and errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import BadRequest
from training.config import TrainConfig, read_config


def test_a_file_overrides_defaults_and_arguments_override_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("trials = 3\nhorizon_days = 60\n")
    config = read_config(tmp_path / "c.toml", horizon_days=30, seed=None)
    assert (config.trials, config.horizon_days, config.seed) == (3, 30, TrainConfig().seed)


@pytest.mark.parametrize(
    ("text", "message"),
    [("trails = 3", "trails"), ("trials = 0", "trials"), ("trials = ", "TOML"), ("horizon_days = 'x'", "horizon_days")],
)
def test_invalid_settings_are_reported(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(BadRequest, match=message):
        read_config(tmp_path / "c.toml")


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="cannot be read"):
        read_config(tmp_path / "none.toml")
