"""A home belongs to one portfolio: its identity is read, compared with signals, and kept."""

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
from models.artifacts.champion import read_pointer
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
from models.scorer.base import ScorerError
from models.scorer.strict_files import JSON_LIMIT, read_bounded, read_json
from models.targets import TARGETS

if TYPE_CHECKING:
    from features.signals.signals import Signals

log = logging.getLogger(__name__)

LOCK = ".portfolio.lock"
"""The file in the home that is locked while the identity is read, changed and written."""
RENEWAL_FEATURE = "contract.days_to_renewal"


class PortfolioMismatchError(SignalsError):
    """Signals, or a bundle, of another portfolio than the home's."""


def signals_portfolio(signals: Signals, name: str | None = None) -> SignalsPortfolio:
    """What open signals tell of their portfolio.

    Parameters
    ----------
    name : for people; the last part of the signals' address if not given.

    Raises
    ------
    BadRequest : a name that is empty, too long, or holds characters that cannot be printed.
    """
    accounts = signals.tables["accounts"].select("account_id", "created_at").to_pyarrow()
    return SignalsPortfolio(
        _name_of(signals.origin) if name is None else _checked(name),
        "contractual" if signals.contractual else "orders",
        tuple(sorted(signals.tables)),
        [str(account) for account in accounts["account_id"].to_pylist()],
        accounts["created_at"].to_pylist(),
    )


def read_identity(home: Home) -> PortfolioIdentity | None:
    """The identity of the home's portfolio; None where it has none yet.

    A home whose file is missing has that of its champion. Homes of before there were identities have neither.

    Raises
    ------
    HomeError : the file is broken.
    """
    return read_identity_file(home) or _of_champion(home)


def require_portfolio(
    home: Home, signals: Signals, name: str | None = None, *, keep: bool = False, trained: bool = False
) -> PortfolioIdentity:
    """Refuse signals of another portfolio than the home's.

    Parameters
    ----------
    name : the portfolio's name, which has to be the home's if it has one; None: whatever it is.
    keep : note the accounts and tables of these signals in the home. A home without an identity gets one.
    trained : with ``keep``: the signals were trained on, so that tables which they lack are no longer expected.

    Returns
    -------
    PortfolioIdentity
        The home's, or what would become it.

    Raises
    ------
    AnotherPortfolio : what differs, and how to make a new home.
    HomeError : the identity is broken or cannot be written.
    """
    found = signals_portfolio(signals, name)
    if not keep:
        return _compared(home, found, name)
    with exclusive_lock(home.root / LOCK):
        known = _compared(home, found, name)
        newer = known.with_signals(found, trained=trained)
        if newer != known or not home.portfolio_file.exists():
            write_identity_file(home, newer)
    return newer


def record_same_portfolio(home: Home, signals: Signals, who: str, why: str) -> PortfolioIdentity:
    """Record that these signals are the home's portfolio, although their account ids are new.

    Raises
    ------
    AnotherPortfolio : the kind of business differs, which no statement can change.
    BadRequest : the home has no identity yet, or a statement without author or reason.
    """
    if not why.strip() or not who.strip():
        raise BadRequest("a statement without an author or a reason", "--why TEXT and --by NAME")
    found = signals_portfolio(signals)
    with exclusive_lock(home.root / LOCK):
        known = read_identity(home)
        if known is None:
            raise BadRequest("the home belongs to no portfolio yet", "a home with a model", "train or score first")
        if known.kind != found.kind:
            raise _another(home, known, found, known.overlap(found))
        statement = SamePortfolio(at=datetime.now(UTC), who=who, why=why)
        newer = known.with_signals(found).model_copy(update={"same": (*known.same, statement)})
        write_identity_file(home, newer)
    return newer


def _compared(home: Home, found: SignalsPortfolio, name: str | None) -> PortfolioIdentity:
    known = read_identity(home)
    if known is None:
        legacy = _of_snapshot(home, found)
        if legacy is None:
            if home.champion_file.exists():
                log.warning("This home has a model but no portfolio identity yet; it now belongs to %s.", found.name)
            return PortfolioIdentity.of(found)
        known = legacy
    overlap = known.overlap(found)
    if known.kind != found.kind or not overlap.is_same or (name is not None and name != known.name):
        raise _another(home, known, found, overlap)
    if gone := sorted(set(known.tables) - set(found.tables)):
        log.warning("Tables missing that %s had before: %s.", known.name, ", ".join(gone))
    return known


def _another(home: Home, known: PortfolioIdentity, found: SignalsPortfolio, overlap: Overlap) -> PortfolioMismatchError:
    differs = []
    if known.kind != found.kind:
        kinds = {"contractual": "contracts (subscriptions)", "orders": "orders without subscriptions"}
        differs.append(f"the business is one of {kinds[found.kind]}, the home's one of {kinds[known.kind]}")
    if overlap.shared is not None and overlap.shared < MIN_SHARED:
        differs.append(f"{overlap.known or 0:.0%} of the {len(found.ids):,} account ids are known")
    elif overlap.same_month is not None and overlap.same_month < MIN_SAME_MONTH:
        differs.append(
            f"{overlap.known or 0:.0%} of the {len(found.ids):,} account ids are known, but only "
            f"{overlap.same_month:.0%} of these accounts were created in the month that the home knows"
        )
    elif known.kind == found.kind:
        differs.append(f"it is called {found.name}")
    if missing := sorted(set(known.tables) - set(found.tables)):
        differs.append(f"tables missing: {', '.join(missing)}")
    if new := sorted(set(found.tables) - set(known.tables)):
        differs.append(f"tables new: {', '.join(new)}")
    same = "\nIf it is the same portfolio under new ids: renewcast home SIGNALS --same-portfolio --why TEXT"
    return PortfolioMismatchError(
        f"these signals are of another portfolio than the home {home.root}, which belongs to {known.name}: "
        + "; ".join(differs),
        "signals of the home's own portfolio: one home, one portfolio",
        "make a new home for it: RENEWCAST_HOME=FOLDER renewcast train SIGNALS"
        + (same if known.kind == found.kind else ""),
    )


def _of_champion(home: Home) -> PortfolioIdentity | None:
    """What the manifests of the champion say: they outlive a lost file."""
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


def _of_snapshot(home: Home, found: SignalsPortfolio) -> PortfolioIdentity | None:
    """The identity of a home of before there were identities, from the accounts of its newest published snapshot."""
    files = sorted(home.snapshots.glob("*.parquet"))
    try:
        table = pq.read_table(files[-1], columns=["account_id", RENEWAL_FEATURE]) if files else None
    except (OSError, ValueError, KeyError):
        return None
    if table is None or not len(table):
        return None
    ids = [str(account) for account in table["account_id"].to_pylist()]
    # Contracts may lack renewal dates, orders never have one. Tables and the accounts' dates were not kept.
    kind = "contractual" if table[RENEWAL_FEATURE].null_count < len(table) else found.kind
    return PortfolioIdentity.of(SignalsPortfolio(found.name, kind, found.tables, ids, [None] * len(ids)))


def _name_of(origin: str) -> str:
    """The last part of an address: a folder, a file without its ending, a database."""
    parts = urlsplit(origin)
    path = Path(parts.path if parts.scheme and "://" in origin else origin)
    name = "".join(letter for letter in (path.resolve().stem or parts.hostname or "portfolio") if letter.isprintable())
    return name.strip()[:NAME_LIMIT] or "portfolio"


def _checked(name: str) -> str:
    if not name.strip() or len(name) > NAME_LIMIT or not name.isprintable():
        raise BadRequest("a portfolio name that is empty, too long or not printable", f"1 to {NAME_LIMIT} characters")
    return name.strip()


def current_user(who: str | None) -> str:
    """Who makes a statement: as given, or the name of the user."""
    return who or getpass.getuser()
