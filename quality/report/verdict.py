"""Can these numbers be trusted? One sentence, a colour, and what speaks against it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from quality.report.facts import Facts, cut


class Level(IntEnum):
    """How far the day's numbers can be trusted; a higher one is worse."""

    TRUSTED = 0
    CARE = 1
    UNKNOWN = 2
    DISTRUST = 3

    @property
    def word(self) -> str:
        """The level in lower case."""
        return self.name.lower()


@dataclass(frozen=True)
class Reason:
    """What speaks against the numbers; `section` is the part of the page that tells more."""

    level: Level
    text: str
    section: str


@dataclass(frozen=True)
class Verdict:
    """The judgement on a day; reasons worst first."""

    level: Level
    sentence: str
    reasons: tuple[Reason, ...]


REASONS_TOLD = 3
_BEGINNINGS = {
    Level.CARE: "These numbers can be used with care",
    Level.UNKNOWN: "Nothing can be said about these numbers yet",
    Level.DISTRUST: "Do not trust these numbers yet",
}


def judge(facts: Facts) -> Verdict:
    """Judge a day: no evidence never makes it better, and one thing that is wrong is enough to distrust it."""
    reasons = sorted([*_wrong(facts), *_doubtful(facts), *_unproven(facts)], key=lambda reason: -reason.level)
    if not facts.totals.bar_count:
        reasons.insert(0, Reason(Level.UNKNOWN, "no bars of this day are stored", "bars"))
    elif not facts.scores and not facts.checks and facts.audit is None:
        reasons.insert(0, Reason(Level.UNKNOWN, "nobody scored, checked or audited the day", "scores"))
    level = max((reason.level for reason in reasons), default=Level.TRUSTED)
    reasons.sort(key=lambda reason: -reason.level)
    return Verdict(level, _sentence(level, reasons, facts), tuple(reasons))


def _sentence(level: Level, reasons: list[Reason], facts: Facts) -> str:
    if level is Level.TRUSTED:
        lowest = min(score.score for score in facts.scores)
        return (
            f"These numbers can be trusted: nothing is missing or there twice, {_count(len(facts.checks), 'claim')} "
            f"held, and the lowest score is {cut(lowest)}."
        )
    told = [reason.text for reason in reasons if reason.level is level]
    if len(told) > REASONS_TOLD:
        told = [*told[: REASONS_TOLD - 1], f"{len(told) - REASONS_TOLD + 1} more reasons"]
    return f"{_BEGINNINGS[level]}: {' and '.join([', '.join(told[:-1]), told[-1]] if len(told) > 1 else told)}."


def _wrong(facts: Facts) -> list[Reason]:
    found = []
    if facts.audit is not None and not facts.audit.balanced:
        text = f"the audit found {facts.audit.missing:,} missing and {facts.audit.twice:,} twice"
        found.append((text, "audit"))
    different = [table.table for table in facts.rebuild or () if not table.equal]
    if different:
        found.append((f"the rebuild from the tape differs in {', '.join(different)}", "audit"))
    stopped = [check for check in facts.checks if check.level == "stop" and not check.passed]
    if stopped:
        found.append((f"{_count(len(stopped), 'claim')} that must hold {_did(stopped)} not", "checks"))
    low = [score for score in facts.scores if score.score < facts.min_score]
    if low:
        text = f"{len(low)} of {_count(len(facts.scores), 'instrument')} {_are(low)} below {facts.min_score:.2f}"
        found.append((text, "scores"))
    return [Reason(Level.DISTRUST, text, section) for text, section in found]


def _doubtful(facts: Facts) -> list[Reason]:
    found = []
    if facts.hole_count:
        found.append(
            (f"{_count(facts.hole_count, 'gap')} of {facts.gap_count:,} {_is(facts.hole_count)} not filled", "gaps")
        )
    warned = [check for check in facts.checks if check.level != "stop" and not check.passed]
    if warned:
        found.append((f"{_count(len(warned), 'claim')} that should hold {_did(warned)} not", "checks"))
    if facts.incidents:
        found.append((f"{_count(len(facts.incidents), 'incident')} {_is(len(facts.incidents))} open", "incidents"))
    if facts.running:
        found.append(("the day is not over", "bars"))
        if stale := facts.freshness.counts.get("stale", 0):
            found.append((f"{_count(stale, 'feed')} {_is(stale)} stale", "freshness"))
    elif facts.totals.provisional_count:
        found.append(
            (
                f"{_count(facts.totals.provisional_count, 'bar')} {_is(facts.totals.provisional_count)} provisional",
                "bars",
            )
        )
    return [Reason(Level.CARE, text, section) for text, section in found]


def _unproven(facts: Facts) -> list[Reason]:
    found = []
    if not facts.scores:
        found.append(("no score was computed", "scores"))
    elif (unscored := facts.totals.instrument_count - len(facts.scores)) > 0:
        found.append((f"{_count(unscored, 'instrument')} {'has' if unscored == 1 else 'have'} no score", "scores"))
    if not facts.checks:
        found.append(("no check was run", "checks"))
    if facts.audit is None:
        found.append(("the audit was not run", "audit"))
    return [Reason(Level.CARE, text, section) for text, section in found]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _are(found: Sequence[object]) -> str:
    return _is(len(found))


def _did(found: Sequence[object]) -> str:
    return "does" if len(found) == 1 else "do"
