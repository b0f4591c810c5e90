"""Routes of exports: the path of a page after the name and the form of the file, with the query of the page."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from serving.html.exports import ROUTE

WITHOUT_EXPORTS = {
    "/reviews/{review_id}/style.css",
    "/reviews/{review_id}/file",
}
"""The paths of a page's router that have no exports."""


def export_routes(routes: Iterable[BaseRoute]) -> list[APIRoute]:
    """Return a route of exports for each page.

    Parameters
    ----------
    routes : the routes of the pages that have exports. The export of a page calls its function, so it has the same
        parameters, required scope, data and redirects.
    """
    return [
        APIRoute(
            ROUTE + route.path,
            route.endpoint,
            methods=["GET"],
            dependencies=route.dependencies,
            include_in_schema=False,
        )
        for route in routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and route.path not in WITHOUT_EXPORTS
    ]
