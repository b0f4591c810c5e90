"""The environment variables that configure Renewcast, with default, bounds and meaning."""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from docs.generator.markdown import code, page, table
from features.contract.settings import (
    PAUSED_ARR_VARIABLE,
    TRIALS_VARIABLE,
    CustomFeatureSettings,
    SubscriptionSettings,
)
from features.utils.formatting import CURRENCY_VARIABLE, DATE_ORDER_VARIABLE
from models.home import HomeSettings
from models.peer_groups.rule_files import RULES_VARIABLE as RULES_VARIABLE
from serving.common.settings import PREFIX, ServiceSettings
from serving.store.encryption import VARIABLE as SECRET_KEY_VARIABLE

_INTRODUCTION = """\
Renewcast reads its settings from environment variables. An empty variable counts as unset. A value that cannot be used
ends the command with exit code 2 and a message that names the variable, never its value."""
_WHERE = {
    "RENEWCAST_HOME": "Folder for everything that Renewcast writes.",
    "MLFLOW_TRACKING_URI": "MLflow tracking server for training runs. Unset: a SQLite file in the home.",
    "RENEWCAST_FEATURES": "File (TOML or Python) that declares extra tables and custom features.",
    CURRENCY_VARIABLE: "Code of the base currency, in which ARR and orders are given. Unset: that of the home.",
    DATE_ORDER_VARIABLE: "Dates for people: `dmy` (30 Sep 2026), `mdy` or `ymd` (2026-09-30). Unset: that of the home.",
    TRIALS_VARIABLE: "Whether accounts with only trials are active: `inactive` or `active`.",
    PAUSED_ARR_VARIABLE: "Share of the ARR of paused subscriptions that counts, 0 to 1.",
    RULES_VARIABLE: "Folder of TOML files that replace the shipped rules; its subfolder `rubrics` adds rubrics.",
    SECRET_KEY_VARIABLE: "Key that encrypts the secrets of webhooks. Unset: the file `secret.key` in the home.",
    "RENEWCAST_KEY": "Your own API key, for `renewcast approve`.",
}
_OTHERS = (
    ("FORWARDED_ALLOW_IPS", "Addresses of the proxies in front of the service, as for uvicorn. Default: this machine."),
    ("TMPDIR", "Folder for temporary copies from object stores."),
    (
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, …",
        "Credentials and region for `s3://` sources, as for the AWS command line.",
    ),
    ("GOOGLE_APPLICATION_CREDENTIALS", "Credentials for `gs://` sources."),
)


def settings_page() -> str:
    """Every environment variable."""
    return page(
        "Settings",
        _INTRODUCTION,
        f"## Files and keys\n\n{table(('variable', 'default', 'meaning'), _where())}",
        f"## The service\n\nLimits and options of `renewcast serve`.\n\n"
        f"{table(('variable', 'type', 'default', 'bounds', 'meaning'), _service())}",
        f"## Variables of other software\n\n{table(('variable', 'meaning'), [(code(n), m) for n, m in _OTHERS])}",
    )


def _where() -> list[tuple[str, str, str]]:
    defaults = {DATE_ORDER_VARIABLE: "dmy"}
    for kind in (HomeSettings, CustomFeatureSettings, SubscriptionSettings):
        for field in kind.model_fields.values():
            defaults[str(field.validation_alias)] = "" if field.default is None else str(field.default)
    if missing := sorted(set(defaults) - set(_WHERE)):
        raise ValueError(f"the settings page says nothing about {', '.join(missing)}")
    return [(code(name), code(defaults.get(name)), meaning) for name, meaning in _WHERE.items()]


def _service() -> list[tuple[str, str, str, str, str]]:
    described = parameter_texts(ServiceSettings)
    return [
        (
            code(f"{PREFIX}{name.upper()}"),
            _type(field.annotation),
            code(str(field.default).lower() if isinstance(field.default, bool) else field.default),
            _bounds(field),
            _sentence(field.description or described[name]),
        )
        for name, field in ServiceSettings.model_fields.items()
    ]


def parameter_texts(kind: type[BaseModel]) -> dict[str, str]:
    """What the docstring of a class says about each of its parameters; an error if it leaves one out."""
    _, _, section = (inspect.getdoc(kind) or "").partition("Parameters\n----------\n")
    texts: dict[str, str] = {}
    name = ""
    for line in re.split(r"\n\n\w+\n-{3,}\n", section)[0].splitlines():
        if entry := re.match(r"(\w+) : (.*)", line):
            name = entry[1]
            texts[name] = entry[2]
        elif line.startswith(" "):
            texts[name] += f" {line.strip()}"
        elif line.strip():
            raise ValueError(f"{kind.__name__}: this line names no parameter: {line}")
    described = {field.alias or name for name, field in kind.model_fields.items() if field.description is None}
    if section and (silent := sorted(described - set(texts))):
        raise ValueError(f"{kind.__name__} says nothing about {', '.join(silent)}")
    return texts


def _type(annotation: Any) -> str:
    if annotation is bool:
        return "true or false"
    if annotation is int:
        return "whole number"
    if annotation is float:
        return "number"
    return "secret text" if SecretStr in getattr(annotation, "__args__", ()) else "text"


def _bounds(field: FieldInfo) -> str:
    words = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}
    values = [
        text.format(f"{bound:,}") for name, text in words.items() for m in field.metadata
        if (bound := getattr(m, name, None)) is not None
    ]  # fmt: skip
    return ", ".join(values)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
