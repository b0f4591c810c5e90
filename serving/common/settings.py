"""Limits and options of a deployment, from the environment variables RENEWCAST_*. `models.home` reads the home's."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from features.errors import BadRequest

PREFIX = "RENEWCAST_"
#: How long (seconds) running requests may take to finish when the service is stopped.
GRACE = 10


class ServiceSettings(BaseSettings):
    """The service's limits and options. An empty variable counts as not set.

    Parameters
    ----------
    body_limit_bytes : size of a request body; a larger one is refused while it is read (413).
    body_limit_rows : rows of signals in one body, over all tables.
    request_seconds : time for one request; a longer one gets 503, or 408 if its body has not arrived.
    connections : open connections in each process; further ones get 503 with Retry-After.
    connections_per_address : open connections from one address (for IPv6, one 64-bit network) in each process; further
        ones get 429. Proxies listed in FORWARDED_ALLOW_IPS (by default this machine) are exempt, since they connect
        for many clients.
    head_limit_bytes : size of the request line and headers together; a larger request is refused (431).
    head_seconds : time in which the request line and headers must arrive; else the connection is closed (with 408, if
        a part arrived).
    workers : bodies with signals that are scored at the same time.
    waiting : further bodies that may wait for a worker; beyond that the response is 503 with Retry-After.
    snapshots_in_memory : assessed snapshots of dates other than the latest that stay in memory.
    retry_seconds : interval before something broken is tried again; also the value of Retry-After.
    reload_wait_seconds : how long the request that finds a new champion or snapshot waits until it is loaded. Longer
        loading continues in the background, and requests are answered from the previous state until it ends.
    store : address of the operational store; by default a SQLite file in the home.
    open_locally : whether callers on this machine need no key, except for operations of the scope admin.
    session_hours : duration of a session after sign-in to the pages.
    sign_ins_a_minute : failed sign-ins allowed per minute from one address, in each process; 60 times as many from all
        addresses together.
    requests_a_minute : requests allowed per minute for one key, in each process.
    webhooks_anywhere : whether webhooks may go to private addresses and without TLS.
    idempotency_hours : how long the response to an Idempotency-Key is stored.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, env_ignore_empty=True)

    body_limit_bytes: Annotated[int, Field(ge=1024, le=2**30)] = 4 * 2**20
    body_limit_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    request_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    connections: Annotated[int, Field(ge=1, le=100_000)] = 500
    connections_per_address: Annotated[int, Field(ge=1, le=100_000)] = 100
    head_limit_bytes: Annotated[int, Field(ge=1024, le=2**20)] = 64 * 2**10
    head_seconds: Annotated[float, Field(gt=0, le=3600)] = 10.0
    workers: Annotated[int, Field(ge=1, le=64)] = 2
    waiting: Annotated[int, Field(ge=0, le=1000)] = 16
    snapshots_in_memory: Annotated[int, Field(ge=1, le=100)] = 3
    retry_seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0
    reload_wait_seconds: Annotated[float, Field(ge=0, le=3600)] = 0.2
    store: SecretStr | None = None
    open_locally: bool = False
    session_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 12.0
    sign_ins_a_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    requests_a_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 6000
    webhooks_anywhere: bool = False
    idempotency_hours: Annotated[float, Field(gt=0, le=24 * 90)] = 24.0

    @property
    def retry_after(self) -> int:
        """`retry_seconds` in whole seconds, for the Retry-After header."""
        return math.ceil(self.retry_seconds)

    @property
    def store_address(self) -> str | None:
        """`store` as plain text. It may contain a password, so do not print it."""
        return None if self.store is None else self.store.get_secret_value()


@lru_cache(maxsize=1)
def current_settings() -> ServiceSettings:
    """Return the settings, which are read once. ``current_settings.cache_clear()`` makes the next call read again.

    Raises
    ------
    BadRequest : a variable is invalid or out of bounds. The message names every such variable, never its value.
    """
    try:
        return ServiceSettings()
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
        reasons = "; ".join(f"{PREFIX}{str(each['loc'][0]).upper()}: {each['msg']}" for each in wrong)
        raise BadRequest(
            f"invalid settings in the environment: {reasons}",
            "values within the documented bounds",
            "correct these variables",
        ) from None


#: The environment variable with the folder in which prometheus-client shares counts between processes.
SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"
