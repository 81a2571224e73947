"""Data Docs: Great Expectations' own pages about a day, made to be read without a network."""

import re
from datetime import UTC, date, datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from great_expectations.core import ExpectationSuiteValidationResult, RunIdentifier
from great_expectations.data_context.types.resource_identifiers import (
    ExpectationSuiteIdentifier,
    ValidationResultIdentifier,
)

from quality.suites.engine import SITE, Folders
from quality.suites.site import BATCH

# What the pages would fetch from elsewhere. Without these they are plain, and open anywhere.
_FOREIGN = re.compile(
    r"<link\b[^>]*href=[\"']https?://[^>]*>|<script\b[^>]*src=[\"']https?://[^>]*>\s*</script>|<(?:img|source)\b[^>]*(?:src|srcset)=[\"']https?://[^>]*>",
    re.IGNORECASE,
)
# Pages of suites, which are never written: a suite is made anew from the contracts each time.
_NOWHERE = re.compile(r"<a\b[^>]*href=[\"'][^\"']*expectations/[^>]*>", re.IGNORECASE)
_STYLE = """<style id="plain">
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1c2733}
table{border-collapse:collapse;width:100%;margin:.5rem 0}td,th{border:1px solid #d5dbe1;padding:.35rem .6rem;
text-align:left;vertical-align:top}ul{list-style:none;padding:0}.badge{background:#eef1f4;padding:0 .3rem}
.modal,.navbar-toggler,.cooltip .tooltiptext,footer{display:none}
.fa-check-circle::before{content:"held";color:#1a7f37}.fa-times::before{content:"broken";color:#c62828}
</style></head>"""


def write_page(context: Any, name: str, day: date, results: list[Any]) -> Path:
    """Write a day's page of a suite anew and return it; the same day always has the same page."""
    run = RunIdentifier(run_name=day.isoformat(), run_time=datetime(day.year, day.month, day.day, tzinfo=UTC))
    held = sum(bool(result.success) for result in results)
    page = ExpectationSuiteValidationResult(
        success=held == len(results),
        results=results,
        suite_name=name,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": held,
            "unsuccessful_expectations": len(results) - held,
            "success_percent": 100.0 * held / len(results) if results else None,
        },
        meta={"run_id": run, "batch_spec": {}, "active_batch_definition": {}, "great_expectations_version": ""},
    )
    key = ValidationResultIdentifier(ExpectationSuiteIdentifier(name), run, BATCH)
    context.validation_results_store.set(key, page)
    context.build_data_docs(site_names=[SITE], resource_identifiers=[key], build_index=False)
    (site,) = context.get_docs_sites_urls(resource_identifier=key)
    written = Path(site["site_url"].removeprefix("file://"))
    _make_plain(written)
    return written


def write_index(folders: Folders) -> Path:
    """Write the page that links to all others, the last day first. Great Expectations' own needs scripts from afar."""
    pages = [page.relative_to(folders.docs) for page in folders.docs.glob("validations/**/*.html")]
    # validations / a folder for each word of the suite's name / day / time / page
    named = sorted(((page.parts[-3], ".".join(page.parts[1:-3]), page) for page in pages), key=lambda one: one[1])
    rows = [
        f"<tr><td>{escape(day)}</td><td><a href='{quote(page.as_posix())}'>{escape(name)}</a></td></tr>"
        for day, name, page in sorted(named, key=lambda one: one[0], reverse=True)
    ]
    table = f"<table><tr><th>day</th><th>claims about</th></tr>{''.join(rows)}</table>"
    head = f"<!DOCTYPE html><html><head><meta charset='utf-8'><title>Data Docs</title>{_STYLE}"
    index = folders.docs / "index.html"
    index.write_text(f"{head}<body><h1>Data Docs</h1>{table}</body></html>")
    return index


def _make_plain(page: Path) -> None:
    text = _NOWHERE.sub("<a>", _FOREIGN.sub("", page.read_text()))
    page.write_text(text.replace("</head>", _STYLE, 1))
