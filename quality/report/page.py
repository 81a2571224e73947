"""Set a day's facts as one HTML page that needs nothing else: no script, no font, no picture from anywhere."""

import json
import statistics
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from quality.report.charts import closes_svg, shared_range
from quality.report.facts import DIMENSIONS, HOLES, Facts, Score, cut
from quality.report.verdict import Level, Verdict, judge

if TYPE_CHECKING:
    from quality.audit import AuditReport, AuditRow

SCORES_LISTED = 40
AUDIT_ROWS = 30
SAMPLE_ROWS = 5
# A score below this, and not below the threshold, is shown as one to look at.
GOOD_SCORE = Decimal("0.95")
_MARKS = {Level.TRUSTED: "\N{CHECK MARK}", Level.CARE: "!", Level.UNKNOWN: "?", Level.DISTRUST: "\N{MULTIPLICATION X}"}


def render(facts: Facts) -> str:
    """Return the page."""
    begin, end = shared_range(facts)
    # Own drawings, of numbers alone: the only thing on the page that is not escaped.
    charts = [(series, Markup(closes_svg(series, begin, end))) for series in facts.series]  # noqa: S704
    verdict = judge(facts)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            facts=facts,
            verdict=verdict,
            mark=_MARKS[verdict.level],
            charts=charts,
            chart_range=(begin, end),
            tiles=_tiles(facts),
            listed=facts.scores[:SCORES_LISTED],
            dimensions=DIMENSIONS,
            holes=HOLES,
        )
    )


def extract(facts: Facts, verdict: Verdict) -> str:
    """Return the page's first lines as markdown, for where a page can't be shown."""
    lines = [f"**{_marked_down(verdict.sentence)}**", ""]
    lines += [f"- {_marked_down(reason.text)}" for reason in verdict.reasons]
    lines += [
        "",
        "| | |",
        "|---|---|",
        *(f"| {label} | {_marked_down(value)} |" for label, value, _, _ in _tiles(facts)),
    ]
    return "\n".join(lines)


def _marked_down(text: str) -> str:
    return "".join(f"\\{character}" if character in "\\`*_{}[]<>#|!" else character for character in text)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # What is shown may hold anything that came over the wire.
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters.update(
        number=lambda value: f"{value:,}",
        score=cut,
        moment=moment,
        span=span,
        words=lambda value: value.replace("_", " "),
        grade=_grade,
        sample_rows=sample_rows,
        signed=lambda value: f"{value:+.3f}".replace("-", "\N{MINUS SIGN}"),
        exact=lambda value: f"{value:.6f}".rstrip("0").rstrip("."),
    )
    environment.globals.update(change=_change, audit_rows=_audit_rows)
    return environment


def visible(text: str) -> str:
    """Show what would otherwise act on the page's text: controls, and marks that turn its direction."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    code = ord(character)
    if code < 0x20 and character not in "\n\t":
        return chr(0x2400 + code)  # the pictures of controls
    if 0x7F <= code < 0xA0 or code in (0x61C, 0xFEFF) or 0x200B <= code <= 0x200F or 0x2028 <= code <= 0x202E:
        return f"\\u{code:04x}"
    if 0x2060 <= code <= 0x206F or 0xD800 <= code <= 0xDFFF or (code & 0xFFFE) == 0xFFFE:
        return f"\\u{code:04x}"
    return character


def moment(value: datetime) -> str:
    """Return a time to the second, without the zone: all times on the page are UTC."""
    return f"{value:%Y-%m-%d %H:%M:%S}"


def span(milliseconds: float) -> str:
    """Return a duration in the two largest units that it has: 320 ms, 1.2 s, 4 m 10 s, 3 h 05 m, 2 d 4 h."""
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24:,} d {hours % 24} h"
    return f"{hours} h {minutes:02} m" if hours else f"{minutes} m {rest:02} s"


def sample_rows(text: str) -> list[str]:
    """Return the rows of a check's sample as `key=value` lines; what is no JSON list is shown as it is."""
    try:
        rows = json.loads(text or "[]")
    except ValueError:
        return [text]
    if not isinstance(rows, list):
        return [text]
    return [_row(row) for row in rows[:SAMPLE_ROWS]] + (["..."] if len(rows) > SAMPLE_ROWS else [])


def _row(row: Any) -> str:
    if isinstance(row, dict):
        return ", ".join(f"{name}={value}" for name, value in row.items())
    return json.dumps(row)


def _grade(value: Decimal, threshold: Decimal) -> str:
    if value < threshold:
        return "bad"
    return "warn" if value < GOOD_SCORE else "good"


def _change(percent: float | None) -> str:
    if percent is None:
        return "new"
    return f"{percent:+,.1f} %".replace("-", "\N{MINUS SIGN}")


def _audit_rows(report: "AuditReport") -> list["AuditRow"]:
    """Return the comparisons that did not come out even, worst first."""
    wrong = [row for row in report.rows if row.missing or row.twice]
    return sorted(wrong, key=lambda row: -(row.missing + row.twice))[:AUDIT_ROWS]


def _tiles(facts: Facts) -> list[tuple[str, str, str, str]]:
    """Return the numbers under the verdict: label, value, grade, section."""
    held = [check for check in facts.checks if check.passed]
    lowest, middle = _score_numbers(facts.scores)
    audit = "not run" if facts.audit is None else "balanced" if facts.audit.balanced else "not balanced"
    return [
        ("lowest score", lowest, _grade(Decimal(lowest), facts.min_score) if facts.scores else "none", "scores"),
        ("median score", middle, _grade(Decimal(middle), facts.min_score) if facts.scores else "none", "scores"),
        (
            "gaps not filled",
            f"{facts.hole_count:,} of {facts.gap_count:,}",
            "warn" if facts.hole_count else "good",
            "gaps",
        ),
        ("refused", f"{facts.refused_count:,}", "warn" if facts.refused_count else "good", "quarantine"),
        ("claims held", f"{len(held)} of {len(facts.checks)}", _claims(facts), "checks"),
        ("audit", audit, {"balanced": "good", "not run": "none"}.get(audit, "bad"), "audit"),
        (
            "rebuild",
            facts.rebuilt_equal.removesuffix(" equal"),
            {"equal": "good", "not run": "none"}.get(facts.rebuilt_equal, "bad"),
            "audit",
        ),
    ]


def _claims(facts: Facts) -> str:
    if not facts.checks:
        return "none"
    failed = [check for check in facts.checks if not check.passed]
    return "bad" if any(check.level == "stop" for check in failed) else "warn" if failed else "good"


def _score_numbers(scores: tuple[Score, ...]) -> tuple[str, str]:
    if not scores:
        return "none", "none"
    values = [score.score for score in scores]
    return cut(min(values)), cut(statistics.median(values))
