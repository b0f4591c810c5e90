"""Lists on pages that are searched by name or id, sorted by any column, and shown in pages, without scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

from pydantic import BeforeValidator, Field

from serving.schemas.base import RequestModel
from serving.schemas.form_fields import digits_to_int, empty_to_none

Way = Literal["up", "down"]
Link = Callable[..., str]
Row = TypeVar("Row", bound=Mapping[str, Any])
Entry = TypeVar("Entry")


LABEL = "label"


class ListColumn(NamedTuple):
    """A column that a list is sorted by.

    Parameters
    ----------
    name : its name in URLs.
    words : its heading.
    field : the field of a row, or of a part of it, such as ``play.due``; `LABEL` is the name, or the id without one.
    number : whether it is aligned to the right.
    largest_first : whether it is sorted in descending order first.
    """

    name: str
    words: str
    field: str
    number: bool = False
    largest_first: bool = False


@dataclass(frozen=True)
class Heading:
    """A heading as a template shows it: ``sorted`` is ascending, descending or None, as in aria-sort."""

    name: str
    words: str
    number: bool
    href: str
    sorted: str | None


@dataclass(frozen=True)
class ListPage(Generic[Entry]):
    """One page of a list: its rows, its number, the number of pages, and the number of rows on all pages."""

    rows: Sequence[Entry]
    number: int
    pages: int
    count: int


SearchField = Annotated[str, Field(max_length=200)]
SortField = Annotated[Annotated[str, Field(max_length=20, pattern="^[a-z_]*$")] | None, BeforeValidator(empty_to_none)]
WayField = Annotated[Way | None, BeforeValidator(empty_to_none)]
PageField = Annotated[int, BeforeValidator(digits_to_int), Field(ge=1, le=1_000_000)]


class ListQuery(RequestModel):
    """Search, order and page of a list. The order is that of the page if none is given."""

    q: SearchField = ""
    sort: SortField = None
    way: WayField = None
    page: PageField = 1

    @property
    def list_params(self) -> dict[str, object]:
        """The parameters, without the page."""
        return {"q": self.q or None, "sort": self.sort, "way": self.way}


def arrange(rows: Sequence[Row], query: ListQuery, columns: Iterable[ListColumn]) -> list[Row]:
    """Return the rows whose id or name contains the search text, in the order of the query.

    Parameters
    ----------
    rows : the rows, with account_id and name, in the order of the page.
    query : search and order. A column that the list lacks leaves the order as it is.
    columns : the columns.

    Returns
    -------
    list
        Unknown values come last in both directions; rows with equal values keep their order.
    """
    text = query.q.strip().casefold()
    found = [row for row in rows if text in f"{row['account_id']}\n{row.get('name') or ''}".casefold()]
    column = next((each for each in columns if each.name == query.sort), None)
    if column is None:
        return found
    values = [(_value(row, column.field), row) for row in found]
    known = [each for each in values if each[0] is not None]
    known.sort(key=lambda each: each[0], reverse=is_descending(column, query.way))
    return [row for _, row in known] + [row for value, row in values if value is None]


def paginate(rows: Sequence[Entry], number: int, size: int) -> ListPage[Entry]:
    """Return a page of a list.

    Parameters
    ----------
    rows : all rows, in their order.
    number : of the page, from 1. A number after the last page is that of the last page.
    size : the number of rows on a page.
    """
    pages = max(1, -(-len(rows) // size))
    number = min(number, pages)
    return ListPage(rows[(number - 1) * size : number * size], number, pages, len(rows))


def is_descending(column: ListColumn, way: Way | None) -> bool:
    """Return whether a list is sorted by a column in descending order."""
    return column.largest_first if way is None else way == "down"


def headings(columns: Iterable[ListColumn], sort: str | None, way: Way | None, link: Link) -> list[Heading]:
    """Return the headings of a list.

    Parameters
    ----------
    columns : its columns.
    sort, way : its order; None is the order of the page.
    link : returns the URL of the list with other parameters.
    """
    out = []
    for each in columns:
        by = each.name == sort
        descending = is_descending(each, way)
        down = not descending if by else each.largest_first
        state = None if not by else "descending" if descending else "ascending"
        out.append(
            Heading(each.name, each.words, each.number, link(sort=each.name, way="down" if down else "up"), state)
        )
    return out


def _value(row: Mapping[str, Any], field: str) -> Any:
    if field == LABEL:
        return str(row.get("name") or row["account_id"]).casefold()
    value: Any = row
    for part in field.split("."):
        value = None if value is None else value[part]
    if isinstance(value, str):
        return value.casefold()
    return value
