"""Reports and Data Docs as web pages: where they lie, which address each has, and the server that shows them."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from starlette.applications import Starlette

REPORTS, DOCS = "reports", "data-docs"
LOOPBACK = "127.0.0.1"

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2.5rem auto;max-width:44rem;padding:0 1rem;color:#1c2733}"
    "h1{font-size:1.5rem}h2{font-size:1.05rem;margin:2rem 0 .3rem}p{margin:.2rem 0;color:#52606d}"
    "ul{margin:.4rem 0;padding-left:1.2rem}a{color:#0b5cad}"
)


@dataclass(frozen=True)
class Pages:
    """The two folders of pages below `data_dir`, and the address under which they are served."""

    data_dir: Path = Path("var")
    base_url: str = f"http://{LOOPBACK}:18080"

    @property
    def reports(self) -> Path:
        """Return the folder of reports."""
        return self.data_dir / REPORTS

    @property
    def docs(self) -> Path:
        """Return the folder of Data Docs."""
        return self.data_dir / DOCS

    def url(self, page: Path) -> str:
        """Return the address of a page of one of the folders; ValueError when it lies elsewhere."""
        inside = page.resolve().relative_to(self.data_dir.resolve())
        if inside.parts[:1] not in ((REPORTS,), (DOCS,)):
            raise ValueError(f"{page} is neither a report nor of Data Docs")
        return f"{self.base_url.rstrip('/')}/{quote(inside.as_posix())}"


def application(pages: Pages) -> "Starlette":
    """Return the web application: both folders, read-only, an index, and /health. Links out of them lead nowhere."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, JSONResponse, Response
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    for folder in (pages.reports, pages.docs):
        folder.mkdir(parents=True, exist_ok=True)

    def index(_: Request) -> Response:
        return HTMLResponse(index_page(pages))

    def health(_: Request) -> Response:
        return JSONResponse({"status": "running"})

    def nowhere(_: Request, __: Exception) -> Response:
        body = _page("No such page", "<p>Nothing was written there yet. <a href='/'>All pages</a></p>")
        return HTMLResponse(body, status_code=404)

    handlers: dict[Any, Callable[[Request, Exception], Response]] = {404: nowhere}
    return Starlette(
        routes=[
            Route("/", index),
            Route("/health", health),
            Mount(f"/{REPORTS}", StaticFiles(directory=pages.reports)),
            Mount(f"/{DOCS}", StaticFiles(directory=pages.docs, html=True)),
        ],
        # A page elsewhere that lets its own name point to loopback must not read these.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"])],
        exception_handlers=handlers,
    )


def index_page(pages: Pages) -> str:
    """Return the page that links to all others: the reports, the last day first, and Data Docs."""
    days = sorted((page.stem.removeprefix("report-") for page in pages.reports.glob("report-*.html")), reverse=True)
    links = "".join(f"<li><a href='/{REPORTS}/report-{quote(day)}.html'>{escape(day)}</a></li>" for day in days)
    reports = f"<ul>{links}</ul>" if days else "<p>None yet: tapehouse report --day D writes one.</p>"
    written = (pages.docs / "index.html").is_file()
    docs = (
        f"<ul><li><a href='/{DOCS}/'>all days and tables</a></li></ul>"
        if written
        else "<p>None yet: tapehouse checks --day D writes them.</p>"
    )
    return _page(
        "Tapehouse: pages",
        "<h2>Reports</h2><p>Can a day be trusted, and what speaks against it.</p>"
        f"{reports}<h2>Data Docs</h2><p>What the claims about each table came to, with rows against them.</p>{docs}",
    )


def _page(title: str, body: str) -> str:
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style>"
    return f"<!DOCTYPE html><html lang='en'><head>{head}</head><body><h1>{escape(title)}</h1>{body}</body></html>\n"


def serve(pages: Pages, port: int) -> None:
    """Serve the pages on loopback until SIGTERM or SIGINT."""
    import uvicorn

    config = uvicorn.Config(
        application(pages), host=LOOPBACK, port=port, log_level="warning", timeout_graceful_shutdown=2, ws="none"
    )
    # uvicorn raises the signal that stopped it once more: to end as told is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run()
