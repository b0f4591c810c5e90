"""The portfolio's currency and order of dates, stored in the home so that every process shows the same."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.errors import HomeError
from features.utils.atomic_files import write_file
from features.utils.formatting import use_stored
from models.home import Home


class PortfolioSettings(BaseModel):
    """The content of ``settings.json``. None: the home does not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None = None
    date_order: Literal["dmy", "mdy", "ymd"] | None = None


def read_portfolio_settings(home: Home) -> PortfolioSettings:
    """Return what the home stores.

    Raises
    ------
    HomeError : the file cannot be read or is not valid.
    """
    path = home.settings_file
    try:
        return PortfolioSettings.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return PortfolioSettings()
    except OSError as error:
        raise HomeError(f"cannot read {path}: {error.strerror}", "a readable file") from error
    except ValidationError:
        raise HomeError(
            f"{path} is not valid",
            "currency, a code of three capital letters, and date_order, one of dmy, mdy and ymd",
            "delete the file, and store the settings with renewcast home --currency CODE --date-order ORDER",
        ) from None


def use_portfolio_settings(home: Home) -> None:
    """Show amounts and dates as the home stores it, unless the environment says otherwise.

    Raises
    ------
    HomeError : see `read_portfolio_settings`.
    """
    stored = read_portfolio_settings(home)
    use_stored(stored.currency, stored.date_order)


def store_portfolio_settings(home: Home, settings: PortfolioSettings) -> None:
    """Store the settings of a home.

    Raises
    ------
    HomeError : the home cannot be written.
    """
    write_file(home.ensure().settings_file, settings.model_dump_json(indent=2) + "\n")
