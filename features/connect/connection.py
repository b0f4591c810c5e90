"""Connect sources: inspect, recognize, draft a mapping, open it, and list what it assumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.connect.draft import Draft, TableDraft
from features.connect.facts import (
    Fact,
    feed_facts,
    pack_facts,
    pack_questions,
    source_facts,
    unread_tables,
    value_facts,
)
from features.connect.identity_proposal import open_joins, propose_identity
from features.connect.inspection import Inspected, inspect, is_contract
from features.connect.table_drafts import CONTRACTS, draft_tables
from features.connect.tool_figures import tool_figures
from features.errors import BadRequest, SignalsError
from features.feed_health.feed_health import feed_health
from features.packs.options import option_values
from features.revenue.portfolio_summary import PortfolioSummary, portfolio_summary
from features.signals.overwritten_contracts import contract_findings
from features.signals.signals import read_signals
from features.signals.validation import check_source
from features.sources import postgres
from features.sources.base import SCHEMES, connect_duckdb
from features.sources.mapping.contract_sources import ALL, ContractOverlap, SourceContracts
from features.sources.mapping.mapping_file import Mapping as MappingFile
from features.sources.mapping.mapping_file import parse_mapping
from features.sources.mapping.open_mapping import OpenMapping, open_parsed, open_relations
from features.sources.object_store import Copies, temporary_copies
from features.sources.shown_address import shown_address
from features.utils.atomic_files import write_file
from features.utils.formatting import and_list
from features.utils.progress import Progress, no_progress

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend


@dataclass(frozen=True)
class Connection:
    """The result of connecting sources.

    Parameters
    ----------
    draft : the text of the mapping.
    facts : what it assumes and what its tables contain, to be confirmed.
    gaps : what a person must add before the data can be used.
    problems : what violates the data contract.
    summary : the line to confirm; None if the data cannot be used yet.
    figures : for tools that have no contracts, a line for each to confirm instead.
    next_command : the command that connects them together with a tool that has; empty for others.
    unread : the tables of each source that are not read.
    out : the file that was written; None if none was.
    """

    draft: str
    facts: tuple[Fact, ...]
    gaps: tuple[str, ...]
    problems: tuple[str, ...]
    summary: PortfolioSummary | None
    figures: tuple[str, ...] = ()
    next_command: str = ""
    unread: Mapping[str, Sequence[str]] = field(default_factory=dict)
    out: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "out": None if self.out is None else str(self.out),
            "draft": self.draft,
            "facts": [vars(fact) for fact in self.facts],
            "gaps": list(self.gaps),
            "problems": list(self.problems),
            "summary": None if self.summary is None else self.summary.as_dict(),
            "figures": list(self.figures),
            "next_command": self.next_command,
            "unread_tables": {source: list(names) for source, names in self.unread.items()},
        }


def connect(
    sources: Sequence[str],
    out: Path | None = None,
    options: Mapping[str, str] | None = None,
    *,
    expand: bool = False,
    force: bool = False,
    progress: Progress = no_progress,
) -> Connection:
    """Draft a mapping of ``sources``.

    Parameters
    ----------
    sources : folders, databases or object stores, each perhaps as ``NAME=ADDRESS``.
    out : the file to write; None for none.
    options : options of packs, as ``SOURCE.OPTION``, or ``OPTION`` if only one pack has it.
    expand : whether to also write the SQL of the packs, to be edited.
    force : whether to replace an existing file.
    progress : progress callback.

    Raises
    ------
    BadRequest
        If an option is unknown, or ``out`` exists.
    SignalsError
        If a source cannot be read, or its tool is recognized but something that it requires is missing. Nothing is
        written then.
    """
    if out is not None and out.suffix != ".toml":
        raise BadRequest(f"{out.name} is no name of a mapping", "a name that ends in .toml", f"--out {out.stem}.toml")
    if out is not None and out.exists() and not force:
        raise BadRequest(f"{out} exists already", "a new file", "choose another name, or add --force to replace it")
    folder = Path.cwd() if out is None else out.parent
    if not folder.is_dir():
        raise BadRequest(f"there is no folder {folder}", "an existing folder", "create it first")
    progress(0.0, "inspecting the sources")
    with temporary_copies() as copies:
        engine = connect_duckdb()
        try:
            draft = _draft(sources, options or {}, engine, copies)
            result = _checked(draft, folder, expand, progress)
        finally:
            engine.disconnect()
            copies.remove()
    if out is not None:
        write_file(out, result.draft)
    return replace(result, out=out)


def _draft(sources: Sequence[str], options: Mapping[str, str], engine: Backend, copies: Copies) -> Draft:
    found = inspect(sources, engine, copies)
    if len(found) == 1 and found[0].recognition is None and is_contract(found[0].tables):
        raise BadRequest(
            "the source has the tables of the data contract already",
            "exports of a tool, or tables with other names",
            f"no mapping is needed: renewcast check {sources[0]}",
        )
    drafted = draft_tables(found, engine)
    found, tables = drafted.sources, drafted.tables
    chosen = _options(found, options)
    for source, own in drafted.options.items():
        chosen[source] = {**own, **chosen.get(source, {})}
    for each in found:
        if each.recognition is not None:
            option_values(each.recognition.pack, chosen.get(each.name, {}))
    gaps = [
        f"{each.guess.table}.{column}: no column of {each.source}.{each.guess.name} looks like it{_hint(each, column)}"
        for each in tables
        for column in each.guess.missing
    ]
    gaps += [gap for each in tables for gap in each.gaps]
    complete = [each for each in tables if not each.guess.missing]
    for each in found:
        _check_near(each, {table.guess.table for table in complete if table.source == each.name})
    if not any(each.recognition for each in found):
        names = {each.guess.table for each in complete}
        incomplete_names = {each.guess.table for each in tables if each.guess.missing}
        gaps += [f"{name}: no table looks like it" for name in ("accounts",) if name not in names | incomplete_names]
        if not set(CONTRACTS) & names:
            gaps.append("subscriptions or orders: no table looks like one of them")
    incomplete = [each for each in tables if each.guess.missing] if gaps else []
    return Draft(found, chosen, complete, None, gaps, drafted.users, drafted.merged, drafted.pack_units, incomplete)


def _hint(draft: TableDraft, column: str) -> str:
    """Return which amount may be the revenue of contracts, if no column says for which period it is."""
    amounts = draft.guess.amounts
    if column != "arr" or amounts is None:
        return ""
    return (
        f". {amounts.amount} may be it, but no column says for which period: if it is an amount per year, use "
        f'columns.arr = "{amounts.amount}"; per month or quarter, add units.arr = "monthly" or "quarterly"'
    )


def _check_near(source: Inspected, drafted: set[str]) -> None:
    """Refuse tables that look like those of a tool, if something is missing and their columns do not explain them."""
    if source.near is None or ("accounts" in drafted and set(CONTRACTS) & drafted):
        return
    raise SignalsError(
        f"{shown_address(source.address)} looks like {source.near.pack.file.title}, but {source.near.missing[0]}",
        f"what the pack {source.near.pack.name} requires",
        "let the loader sync it, or write a mapping by hand",
    )


def _options(found: Sequence[Inspected], given: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the options of each source."""
    packs = {each.name: each.recognition.pack for each in found if each.recognition}
    result: dict[str, dict[str, str]] = {}
    for key, value in given.items():
        source, dot, name = key.rpartition(".")
        owners = [source] if dot else [s for s, pack in packs.items() if name in pack.file.options]
        if len(owners) != 1 or owners[0] not in packs or name not in packs[owners[0]].file.options:
            known = [f"{s}.{option}" for s, pack in packs.items() for option in pack.file.options]
            raise BadRequest(
                f"there is no option {key}", f"one of {', '.join(known)}" if known else "no options", "check the name"
            )
        result.setdefault(owners[0], {})[name] = value
    return result


def _checked(draft: Draft, folder: Path, expand: bool, progress: Progress) -> Connection:
    """Open the draft, add the identity of accounts, and return what it contains."""
    progress(0.2, "reading the tables")
    if len(draft.sources) > 1:
        relations = open_relations(*_parsed(draft, folder, expand=False))
        try:
            order = [each.name for each in draft.sources]
            identity = propose_identity(relations, draft.tables, order)
            asked = open_joins(identity, relations, draft.tables, order)
        finally:
            relations.connection.disconnect()
        draft = replace(draft, identity=identity, asked=asked)
    progress(0.6, "checking the tables")
    opened = open_parsed(*_parsed(draft, folder, expand))
    facts: list[Fact] = []
    if opened.overlap is not None and opened.overlap.preferred is not None:
        draft, facts = _with_contracts_of_one(draft, opened.overlap, opened.overlap.preferred)
        opened.source.connection.disconnect()
        opened = open_parsed(*_parsed(draft, folder, expand))
    try:
        if (lacks := opened.source.missing_contracts) is not None:
            draft = replace(draft, gaps=(*draft.gaps, f"{lacks.problem}: {lacks.cure}"))
        if opened.source.missing_contracts is None:
            counted = draft.contracts or [each.name for each in draft.sources]
            asked = [text for source, text in pack_questions(opened) if source in counted]
            draft = replace(draft, asked=(*draft.asked, *asked))
        text = draft.text(folder, expand=expand)
        questions = tuple(dict.fromkeys((*draft.questions, *opened.source.open_questions)))
        draft = replace(draft, gaps=list(dict.fromkeys((*draft.gaps, *questions))))
        return _described(draft, text, opened, facts, questions)
    finally:
        opened.source.connection.disconnect()


def _with_contracts_of_one(
    draft: Draft, overlap: ContractOverlap, preferred: SourceContracts
) -> tuple[Draft, list[Fact]]:
    """Read contracts that several sources have from one of them, and return what that assumes."""
    others = [each for each in overlap.sources if each is not preferred]
    fact = Fact(
        "subscriptions",
        f"{overlap.words}: probably the same sales, so that those of {preferred.source} are read, and of "
        f"{and_list([each.source for each in others])} everything else. If they are different sales, set "
        f'contracts = "{ALL}" under [identity].',
    )
    asked = [overlap.left_out(each, preferred) for each in others if each.alone]
    return replace(draft, contracts=(preferred.source, *overlap.others), asked=(*draft.asked, *asked)), [fact]


def _parsed(draft: Draft, folder: Path, expand: bool) -> tuple[MappingFile, dict[str, str]]:
    """Return the parsed draft, and the addresses of its sources with their passwords."""
    mapping = parse_mapping(draft.text(folder, expand=expand), folder / "mapping.toml")
    return mapping, {each.name: _absolute(each.address) for each in draft.sources}


def _absolute(address: str) -> str:
    """Return an address that does not depend on the folder of the mapping."""
    scheme, sign, rest = address.partition("://")
    if not sign:
        return str(Path(address).expanduser().resolve())
    if scheme in SCHEMES:
        return f"{scheme}:///{Path.cwd() / rest.removeprefix('/')}"
    return address


def _described(
    draft: Draft, text: str, opened: OpenMapping, contracts: Sequence[Fact], questions: tuple[str, ...]
) -> Connection:
    facts = [*source_facts(draft.sources, draft.tables, draft.incomplete), *pack_facts(opened)]
    if draft.identity is not None:
        facts += [Fact("identity", f"{reason}.") for reason in draft.identity.reasons]
    elif len(draft.sources) > 1:
        facts.append(_unjoined(draft, opened))
    facts += contracts
    facts += [Fact("mapping", f"{note}.") for note in opened.source.notes]
    for source in draft.sources:
        if source.address.partition("://")[0] in postgres.SCHEMES:
            facts.append(Fact(source.name, "The password is not in the mapping: set PGPASSWORD, or use ~/.pgpass."))
    problems: tuple[str, ...] = ()
    summary, lacks = None, opened.source.missing_contracts
    if opened.source.tables:
        report = check_source(opened.source)
        facts += value_facts(opened)
        facts += feed_facts(feed_health(opened.source))
        problems = tuple(str(error) for error in report.errors if lacks is None or error.problem != lacks.problem)
        facts += [Fact(finding.table, f"{finding}.") for finding in report.findings]
        if report.ok:
            signals = read_signals(opened.source)
            facts += [Fact(finding.table, f"{finding}.") for finding in contract_findings(signals)]
            summary = portfolio_summary(signals, open_questions=questions)
    figures, command = (tool_figures(opened), lacks.command) if lacks else ((), "")
    unread = {each.name: unread_tables(each, draft.tables) for each in draft.sources}
    return Connection(text, tuple(facts), tuple(draft.gaps), problems, summary, figures, command, unread)


def _unjoined(draft: Draft, opened: OpenMapping) -> Fact:
    """Return what happens to the accounts of several sources if nothing joins them."""
    owners = {each.source for each in draft.tables if each.guess.table == "accounts"}
    owners |= {source for source, queries in opened.queries.items() if "accounts" in queries.tables}
    if len(owners) > 1:
        return Fact(
            "identity",
            "No ids, domains or names say which accounts of the sources are the same company, so that they are kept "
            "apart: add [identity] by hand.",
        )
    return Fact(
        "identity",
        "No ids, domains or names join the sources: rows belong to the account with the same id. If the ids differ, "
        "add [identity] by hand.",
    )
