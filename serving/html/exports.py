"""Tables and charts of a page as files: the rows and the figures that the page shows."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from features.utils.csv_lines import csv_lines
from features.utils.workbook import MEDIA_TYPE, CellKind, Sheet, SheetColumn, write_workbook
from models.predictions.table_export import FORMULA_STARTS
from serving.html.assets import assets

TABLE_FORMS = ("csv", "xlsx")
CHART_FORMS = ("svg", "png")
FILE_MEDIA = {
    "html": "text/html; charset=utf-8",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
"""Media types of the files of a whole page."""
PREFIX = "/exports"
ROUTE = PREFIX + "/{export_name}.{export_form}"
"""What comes before the path of a page in the URL of its exports."""
PNG_SCALE = 2.0
_VARIABLE = re.compile(r"var\((--[a-z-]+)\)")
_DECLARATION = re.compile(r"(--[a-z-]+):\s*(#[0-9a-f]{3,6})\b")
_VIEW_BOX = re.compile(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"')

Value = str | Callable[[Any], Any]


class ExportColumn(NamedTuple):
    """One column of an exported table.

    Parameters
    ----------
    name : its name in CSV, which is that of the field in JSON.
    title : its heading in a workbook, which is that on the page.
    kind : the kind of its values. An ISO date or instant in text becomes a date.
    value : the field of a row, with dots for its parts (``play.due``, ``interval.0``), or a function of the row; by
        default the field with its name.
    """

    name: str
    title: str
    kind: CellKind = "text"
    value: Value | None = None


@dataclass(frozen=True)
class ExportTable:
    """One table: its title, columns, and rows as the page has them."""

    title: str
    columns: Sequence[ExportColumn]
    rows: Iterable[Any]

    def cells(self) -> list[list[Any]]:
        """Return the values of each row: numbers, text, booleans, dates, and None for unknown."""
        return [[_typed(_read(row, column), column.kind) for column in self.columns] for row in self.rows]


class ExportFile(NamedTuple):
    """A file of a whole page.

    Parameters
    ----------
    file_name : its name, without the ending.
    content : returns its content.
    """

    file_name: str
    content: Callable[[], bytes]


Tables = Mapping[str, Callable[[], ExportTable]]
"""Tables by name. The rows are computed when a table is asked for."""


@dataclass(frozen=True)
class PageExports:
    """What can be exported from a page, by name. Nothing is computed until it is asked for.

    Parameters
    ----------
    tables, charts : by name.
    files : the files of a whole page, by name and form.
    """

    tables: Tables = field(default_factory=dict)
    charts: Mapping[str, Callable[[], str | None]] = field(default_factory=dict)
    files: Mapping[tuple[str, str], ExportFile] = field(default_factory=dict)


def export_href(request: Request, name: str, form: Literal["csv", "xlsx", "svg", "png", "html", "pptx"]) -> str:
    """Return the URL of an export of the requested page, with its filter and order."""
    raw = request.scope.get("raw_path") or request.url.path.encode()
    query = request.scope.get("query_string", b"")
    return f"{PREFIX}/{name}.{form}{raw.decode('latin-1')}" + (f"?{query.decode('latin-1')}" if query else "")


def requested_export(request: Request) -> tuple[str, str] | None:
    """Return the name and the form of the export that a request asks for; None if it asks for the page."""
    name = request.path_params.get("export_name")
    return None if name is None else (name, request.path_params["export_form"])


def export_response(exports: PageExports, name: str, form: str) -> Response:
    """Return a table or a chart as a file.

    Parameters
    ----------
    exports : what the page has.
    name : of the table or the chart.
    form : csv or xlsx for a table, svg or png for a chart, html or pptx for a file.

    Raises
    ------
    HTTPException : 404, the page has no such export.
    BadRequest : a workbook cannot hold the rows.
    """
    if form in TABLE_FORMS and name in exports.tables:
        table = exports.tables[name]()
        if form == "csv":
            return _file(csv_text(table).encode(), "text/csv; charset=utf-8", f"renewcast-{name}.{form}")
        return _file(workbook(table), MEDIA_TYPE, f"renewcast-{name}.{form}")
    if form in CHART_FORMS and name in exports.charts and (chart := exports.charts[name]()) is not None:
        svg = standalone_svg(chart)
        if form == "svg":
            return _file(svg.encode(), "image/svg+xml", f"renewcast-{name}.{form}")
        # Imported here because it loads an engine of its own.
        import vl_convert

        return _file(vl_convert.svg_to_png(svg, scale=PNG_SCALE), "image/png", f"renewcast-{name}.{form}")
    if (file := exports.files.get((name, form))) is not None:
        return file_response(file.content(), f"{file.file_name}.{form}", form)
    raise HTTPException(404)


def file_response(content: bytes, name: str, form: str) -> Response:
    """Return a file of a whole page to download.

    Parameters
    ----------
    content : its content.
    name : the name of the file, in ASCII.
    form : html or pptx.
    """
    return _file(content, FILE_MEDIA[form], name)


def csv_text(table: ExportTable) -> str:
    """Return a table as CSV, with the names of its columns.

    Text that a spreadsheet would read as a formula gets an apostrophe before it. Unknown is empty, booleans are true
    and false, dates and instants are ISO 8601.
    """
    cells = ([_csv_cell(value) for value in row] for row in table.cells())
    return "".join(csv_lines([[column.name for column in table.columns], *cells]))


def workbook(*tables: ExportTable) -> bytes:
    """Return tables as a workbook (.xlsx) with one sheet for each. Their titles differ."""
    stream = io.BytesIO()
    write_workbook(stream, [_sheet(table) for table in tables])
    return stream.getvalue()


def standalone_svg(svg: str) -> str:
    """Return a drawing of a page as a file of its own: with the colors of the light page, a size and a white ground."""
    colors = dict(reversed(_DECLARATION.findall(assets()["pages.css"].content.decode())))
    text = _VARIABLE.sub(lambda found: colors.get(found[1], "#000000"), svg).replace("currentColor", colors["--ink"])
    box = _VIEW_BOX.search(text)
    if box is None:
        return text
    size = f' width="{box[1]}" height="{box[2]}"'
    ground = f'<rect width="{box[1]}" height="{box[2]}" fill="#ffffff"/>'
    head = text.index(">") + 1
    return f"{text[: head - 1]}{size}>{ground}{text[head:]}"


def _sheet(table: ExportTable) -> Sheet:
    columns = [SheetColumn(column.title, column.kind) for column in table.columns]
    return Sheet(_sheet_name(table.title), columns, table.cells())


def _file(content: bytes, media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)


def _read(row: Any, column: ExportColumn) -> Any:
    if callable(column.value):
        return column.value(row)
    value = row
    for part in (column.value or column.name).split("."):
        if value is None:
            return None
        if part.isdigit():
            value = value[int(part)]
        else:
            value = value[part] if isinstance(value, Mapping) else getattr(value, part)
    return value


def _typed(value: Any, kind: CellKind) -> Any:
    if value is None or (isinstance(value, float) and value != value):
        return None
    if kind in ("date", "instant") and isinstance(value, str):
        instant = datetime.fromisoformat(value)
        return instant.date() if kind == "date" else instant
    if kind == "date" and isinstance(value, datetime):
        return value.date()
    return str(value) if kind == "text" and not isinstance(value, str) else value


def _csv_cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def _sheet_name(title: str) -> str:
    return re.sub(r"[\[\]:*?/\\]", " ", title)[:31].strip("' ") or "Rows"
