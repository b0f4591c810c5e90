"""Settings of how signals are read: the operator's file of declarations, the base currency, trials and paused ARR."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from features.errors import BadRequest
from features.utils.formatting import CURRENCY_VARIABLE, setting
from features.utils.validation_errors import first_validation_error

TRIALS_VARIABLE = "RENEWCAST_TRIALS"
PAUSED_ARR_VARIABLE = "RENEWCAST_PAUSED_ARR"


def _currency_code(text: str) -> str:
    """Return the code in capital letters.

    Raises
    ------
    PydanticCustomError
        If it is not empty and not three letters.
    """
    if text and not re.fullmatch("[A-Za-z]{3}", text):
        raise PydanticCustomError("currency_code", "Input should be a code of three letters, such as EUR")
    return text.upper()


class CustomFeatureSettings(BaseSettings):
    """Setting for extra tables and custom features: RENEWCAST_FEATURES. An empty value means none."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    file: Path | None = Field(default=None, validation_alias="RENEWCAST_FEATURES")


class SubscriptionSettings(BaseSettings):
    """How subscriptions count. Training and scoring need the same settings.

    Parameters
    ----------
    currency : the code of the base currency, in which ARR is reported and orders are given; empty if not set. Amounts
        in pages, terminals and reports are shown with it (`features.utils.formatting.money`).
    trials : whether accounts with only trials count as active.
    paused_arr : the share of the ARR of paused subscriptions that counts.
    """

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    currency: Annotated[str, AfterValidator(_currency_code)] = Field(default="", validation_alias=CURRENCY_VARIABLE)
    trials: Literal["inactive", "active"] = Field(default="inactive", validation_alias=TRIALS_VARIABLE)
    paused_arr: Annotated[float, Field(ge=0, le=1)] = Field(default=0.0, validation_alias=PAUSED_ARR_VARIABLE)


def subscription_settings() -> SubscriptionSettings:
    """Return the settings of the environment; the currency may be stored in the home instead.

    Raises
    ------
    BadRequest
        If a variable has a value that cannot be used.
    """
    return _read(
        setting(CURRENCY_VARIABLE), *(os.environ.get(name, "") for name in (TRIALS_VARIABLE, PAUSED_ARR_VARIABLE))
    )


@lru_cache(maxsize=1)
def _read(currency: str, *_others: str) -> SubscriptionSettings:
    try:
        return SubscriptionSettings.model_validate({CURRENCY_VARIABLE: currency})
    except ValidationError as error:
        raise BadRequest(
            f"a setting cannot be used: {first_validation_error(error, 'variable')}",
            f"{CURRENCY_VARIABLE}=EUR, {TRIALS_VARIABLE}=inactive or active, {PAUSED_ARR_VARIABLE}=0 to 1",
            "correct the environment variable, or unset it",
        ) from None
