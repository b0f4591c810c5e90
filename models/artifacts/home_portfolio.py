"""The portfolio of a home: reading its identity, comparing signals with it, and updating it."""

from __future__ import annotations

import getpass
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow.parquet as pq
from pydantic import ValidationError

from features.errors import BadRequest, SignalsError
from features.utils.file_lock import exclusive_lock
from models.artifacts.champion_pointer import read_pointer
from models.artifacts.identity_file import read_identity_file, write_identity_file
from models.artifacts.portfolio_identity import (
    MIN_SAME_MONTH,
    MIN_SHARED,
    NAME_LIMIT,
    Overlap,
    PortfolioIdentity,
    SamePortfolio,
    SignalsPortfolio,
)
from models.home import Home
from models.scorer.base import RENEWAL_FEATURE
from models.scorer.errors import ScorerError
from models.scorer.strict_files import JSON_LIMIT, read_bounded, read_json
from models.statements import require_statement
from models.targets import TARGETS

if TYPE_CHECKING:
    from features.signals.signals import OpenSignals

log = logging.getLogger(__name__)

LOCK = ".portfolio.lock"
"""The file in the home that is locked while the identity is read, changed and written."""


class PortfolioMismatchError(SignalsError):
    """Signals or a bundle that belong to another portfolio than the home."""


def signals_portfolio(signals: OpenSignals, name: str | None = None) -> SignalsPortfolio:
    """Describe the portfolio of open signals.

    Parameters
    ----------
    name : a name for people; by default the last part of the address of the signals.

    Raises
    ------
    BadRequest : the name is empty, too long, or not printable.
    """
    accounts = signals.tables["accounts"].select("account_id", "created_at").to_pyarrow()
    return SignalsPortfolio(
        _name_of(signals.origin) if name is None else _checked(name),
        "contractual" if signals.contractual else "orders",
        tuple(sorted(signals.tables)),
        [str(account) for account in accounts["account_id"].to_pylist()],
        accounts["created_at"].to_pylist(),
        signals.records,
    )


def read_identity(home: Home) -> PortfolioIdentity | None:
    """Read the identity of the home's portfolio; None if it has none yet.

    If the file is missing, the identity comes from the champion. Old homes have neither.

    Raises
    ------
    HomeError : the file is broken.
    """
    return read_identity_file(home) or _of_champion(home)


def require_portfolio(
    home: Home, signals: OpenSignals, name: str | None = None, *, keep: bool = False, trained: bool = False
) -> PortfolioIdentity:
    """Reject signals of another portfolio than the home's.

    Parameters
    ----------
    name : the name of the portfolio, which must match the name in the home, if any; None accepts any name.
    keep : record the accounts and tables of these signals in the home. A home without an identity gets one.
    trained : with ``keep``: the signals were used for training, so that tables that they lack are no longer expected.

    Returns
    -------
    PortfolioIdentity
        The identity of the home, or the one that it would get.

    Raises
    ------
    PortfolioMismatchError : the message says what differs, and how to create a new home.
    HomeError : the identity is broken or cannot be written.
    """
    portfolio = signals_portfolio(signals, name)
    if not keep:
        return _compared(home, portfolio, name)
    with exclusive_lock(home.root / LOCK):
        identity = _compared(home, portfolio, name)
        newer = identity.with_signals(portfolio, trained=trained)
        if newer != identity or not home.portfolio_file.exists():
            write_identity_file(home, newer)
    return newer


def record_same_portfolio(home: Home, signals: OpenSignals, who: str, why: str) -> PortfolioIdentity:
    """Record a person's statement that these signals are the home's portfolio under new account ids.

    Parameters
    ----------
    home : the home.
    signals : the signals with new account ids.
    who : the person who decides.
    why : the reason.

    Returns
    -------
    PortfolioIdentity

    Raises
    ------
    PortfolioMismatchError : the kind of business differs, which a statement cannot change.
    BadRequest : the home has no identity yet, or the author or reason is missing or too long.
    """
    require_statement(who, why)
    portfolio = signals_portfolio(signals)
    with exclusive_lock(home.root / LOCK):
        identity = read_identity(home)
        if identity is None:
            raise BadRequest("the home has no portfolio yet", "a home with a model", "train or score first")
        if identity.kind != portfolio.kind:
            raise _another(home, identity, portfolio, identity.overlap(portfolio))
        statement = SamePortfolio(at=datetime.now(UTC), who=who, why=why)
        newer = identity.with_signals(portfolio).model_copy(update={"same": (*identity.same, statement)})
        write_identity_file(home, newer)
    return newer


def _compared(home: Home, portfolio: SignalsPortfolio, name: str | None) -> PortfolioIdentity:
    identity = read_identity(home)
    if identity is None:
        from_snapshot = _of_snapshot(home, portfolio)
        if from_snapshot is None:
            if home.champion_file.exists():
                log.warning(
                    "This home has a model but no portfolio identity yet; it now belongs to %s.", portfolio.name
                )
            return PortfolioIdentity.of(portfolio)
        identity = from_snapshot
    overlap = identity.overlap(portfolio)
    if identity.kind != portfolio.kind or not overlap.is_same or (name is not None and name != identity.name):
        raise _another(home, identity, portfolio, overlap)
    if gone := sorted(set(identity.tables) - set(portfolio.tables)):
        log.warning("Tables that %s had before are missing: %s.", identity.name, ", ".join(gone))
    return identity


def _another(
    home: Home, identity: PortfolioIdentity, portfolio: SignalsPortfolio, overlap: Overlap
) -> PortfolioMismatchError:
    differences = []
    if identity.kind != portfolio.kind:
        kinds = {"contractual": "contracts (subscriptions)", "orders": "orders without subscriptions"}
        differences.append(f"the signals have {kinds[portfolio.kind]}, the home's portfolio has {kinds[identity.kind]}")
    if overlap.shared is not None and overlap.shared < MIN_SHARED:
        differences.append(f"{overlap.known or 0:.0%} of the {len(portfolio.ids):,} account ids are known")
    elif overlap.same_month is not None and overlap.same_month < MIN_SAME_MONTH:
        differences.append(
            f"{overlap.known or 0:.0%} of the {len(portfolio.ids):,} account ids are known, but only "
            f"{overlap.same_month:.0%} of these accounts have the month of creation that the home recorded"
        )
    elif identity.kind == portfolio.kind:
        differences.append(f"the name is {portfolio.name}")
    if missing := sorted(set(identity.tables) - set(portfolio.tables)):
        differences.append(f"missing tables: {', '.join(missing)}")
    if new := sorted(set(portfolio.tables) - set(identity.tables)):
        differences.append(f"new tables: {', '.join(new)}")
    same = "\nIf it is the same portfolio under new ids: renewcast home SIGNALS --same-portfolio --why TEXT"
    return PortfolioMismatchError(
        f"these signals belong to another portfolio than the home {home.root}, whose portfolio is {identity.name}: "
        + "; ".join(differences),
        "signals of the home's own portfolio: one home, one portfolio",
        "create a new home for it: RENEWCAST_HOME=FOLDER renewcast train SIGNALS"
        + (same if identity.kind == portfolio.kind else ""),
    )


def _of_champion(home: Home) -> PortfolioIdentity | None:
    """Return the identity in the champion's manifests, for homes whose file was lost."""
    pointer = read_pointer(home)
    for target in TARGETS:
        pointed = pointer.of(target) if pointer else None
        if pointed is not None:
            try:
                manifest = read_json(read_bounded(home.root / pointed.folder / "manifest.json", JSON_LIMIT), "manifest")
                if manifest.get("portfolio") is not None:
                    return PortfolioIdentity.model_validate(manifest["portfolio"])
            except (ScorerError, ValidationError):
                continue
    return None


def _of_snapshot(home: Home, portfolio: SignalsPortfolio) -> PortfolioIdentity | None:
    """Return the identity of an old home, from the accounts of its newest published snapshot."""
    files = sorted(home.snapshots.glob("*.parquet"))
    try:
        table = pq.read_table(files[-1], columns=["account_id", RENEWAL_FEATURE]) if files else None
    except (OSError, ValueError, KeyError):
        return None
    if table is None or not len(table):
        return None
    ids = [str(account) for account in table["account_id"].to_pylist()]
    # Contracts may lack renewal dates, orders never have one. Tables and creation dates were not stored.
    kind = "contractual" if table[RENEWAL_FEATURE].null_count < len(table) else portfolio.kind
    return PortfolioIdentity.of(SignalsPortfolio(portfolio.name, kind, portfolio.tables, ids, [None] * len(ids)))


def _name_of(origin: str) -> str:
    """Return the last part of an address: a folder, a file without its extension, a database."""
    parts = urlsplit(origin)
    path = Path(parts.path if parts.scheme and "://" in origin else origin)
    name = "".join(letter for letter in (path.resolve().stem or parts.hostname or "portfolio") if letter.isprintable())
    return name.strip()[:NAME_LIMIT] or "portfolio"


def _checked(name: str) -> str:
    if not name.strip() or len(name) > NAME_LIMIT or not name.isprintable():
        raise BadRequest(
            "the portfolio name is empty, too long, or contains characters that cannot be printed",
            f"1 to {NAME_LIMIT} characters",
        )
    return name.strip()


def current_user(who: str | None) -> str:
    """Return the author of a statement: the given name, or that of the operating system's user."""
    return who or getpass.getuser()
