"""What the environment says of a deployment's limits: RENEWCAST_*. Where the home is, is `models.home`'s to say."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from features.errors import BadRequest

PREFIX = "RENEWCAST_"
#: How long (seconds) requests under way may take to end when the service is stopped.
GRACE = 10


class ServiceSettings(BaseSettings):
    """The service's limits. An empty variable counts as none.

    Parameters
    ----------
    body_limit_bytes : a larger request body is refused while it is being read.
    body_limit_rows : rows of signals in one body, over all tables.
    request_seconds : a request that takes longer is answered with 503 (or 408 while its body is still coming).
    connections : how many may be open at once, in each process; beyond that the answer is 503 with Retry-After.
    connections_per_address : how many of these one address may open (of IPv6, one network of 64 bits); beyond that the
        answer is 429. Proxies that FORWARDED_ALLOW_IPS names (this machine, unless set) speak for many and are
        exempt.
    head_limit_bytes : a request whose line and headers are larger together is refused (431).
    head_seconds : a connection on which they do not arrive within this time is closed (408, if they had begun to).
    workers : how many bodies with signals are worked on at once.
    waiting : how many more may wait for a worker; beyond that the answer is 503 with Retry-After.
    snapshots_in_memory : how many snapshots of other dates than the latest are kept assessed.
    retry_seconds : how soon something broken is tried again, and what Retry-After says.
    store : the address of the operational store; without one it is a SQLite file in the home.
    open_locally : whether callers on this machine need no key (for all but what an admin's key is for).
    session_hours : how long somebody who signed in to the pages stays so.
    sign_ins_a_minute : how many sign-ins from one address may fail, in each process; from all together, 60 times
        as many.
    requests_a_minute : how many requests one key may make, in each process.
    webhooks_anywhere : whether webhooks may go to private addresses, and without TLS.
    idempotency_hours : how long the answer to an Idempotency-Key is kept.
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
    store: SecretStr | None = None
    open_locally: bool = False
    session_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 12.0
    sign_ins_a_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    requests_a_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 6000
    webhooks_anywhere: bool = False
    idempotency_hours: Annotated[float, Field(gt=0, le=24 * 90)] = 24.0

    @property
    def retry_after(self) -> int:
        """`retry_seconds` as the header has it: whole seconds."""
        return math.ceil(self.retry_seconds)

    @property
    def store_address(self) -> str | None:
        """`store`, no longer hidden from whoever prints it."""
        return None if self.store is None else self.store.get_secret_value()


@lru_cache(maxsize=1)
def current_settings() -> ServiceSettings:
    """The settings, read once. ``current_settings.cache_clear()`` makes it read again.

    Raises
    ------
    BadRequest : a variable cannot be read, or is out of bounds; every such variable is named, never its value.
    """
    try:
        return ServiceSettings()
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
        told = "; ".join(f"{PREFIX}{str(each['loc'][0]).upper()}: {each['msg']}" for each in wrong)
        raise BadRequest(
            f"the environment holds settings that cannot be used: {told}", "numbers within bounds", "set them anew"
        ) from None


#: The variable under which prometheus-client shares counts between processes.
SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"
