"""An incident's life: worked examples, then any history of findings."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import TerminalError
from contracts.incidents import INCIDENTS
from quality.incidents import SECOND, Finding, Incident, reconcile
from quality.lineage import Lineage

NOON = 1_700_000_000 * SECOND


def finding(subject: str = "stale/a", **more: object) -> Finding:
    return replace(Finding(subject, "stale", f"{subject} is stale", "look at it"), **more)  # type: ignore[arg-type]


def test_a_finding_opens_an_incident_that_is_kept_and_closed_with_its_time_to_repair() -> None:
    (opened,) = reconcile([], [finding()], (), NOON)
    assert (opened.state, opened.revision, opened.closed_time, opened.repair_s) == ("open", 1, 0, None)
    assert reconcile([opened], [finding()], (), NOON + SECOND) == []
    (closed,) = reconcile([opened], [], {"stale/a"}, NOON + 90 * SECOND)
    assert (closed.incident_id, closed.state, closed.revision) == (opened.incident_id, "closed", 2)
    assert closed.repair_s == 90


def test_a_subject_that_nobody_looked_at_stays_open() -> None:
    (opened,) = reconcile([], [finding()], (), NOON)
    assert reconcile([opened], [], {"stale/b"}, NOON + SECOND) == []


def test_what_is_newly_known_is_a_revision_of_the_same_incident() -> None:
    (opened,) = reconcile([], [finding(evidence={"rows": 1})], (), NOON)
    (told,) = reconcile([opened], [finding(evidence={"rows": 2}, affected_rows=2)], (), NOON + SECOND)
    assert (told.incident_id, told.revision, told.opened_time, told.known_time) == (
        opened.incident_id, 2, NOON, NOON + SECOND,
    )  # fmt: skip
    assert (told.evidence, told.affected_rows) == ('{"rows": 2}', 2)


def test_the_same_trouble_after_its_repair_is_another_incident() -> None:
    (first,) = reconcile([], [finding()], (), NOON)
    (closed,) = reconcile([first], [], {"stale/a"}, NOON + SECOND)
    (second,) = reconcile([closed], [finding()], (), NOON + 2 * SECOND)
    assert second.incident_id != first.incident_id
    assert second.revision == 1


def test_a_kind_that_nobody_knows_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(TerminalError, match=r"'weather'.*kinds: check, stale"):
        finding(kind="weather")


def test_an_incident_has_the_columns_of_its_contract_in_order() -> None:
    assert list(Incident.__dataclass_fields__) == [column.name for column in INCIDENTS.columns]


def test_lineage_leaves_out_what_is_another_venues_own() -> None:
    parents = {f"collector/{v}": [f"venue/{v}"] for v in ("kraken", "binance")}
    parents |= {"venue/kraken": [], "venue/binance": [], "streams/x": list(parents), "x": ["streams/x"], "y": ["x"]}
    lineage = Lineage(parents)
    assert lineage.upstream("x", "kraken") == ("collector/kraken", "streams/x", "venue/kraken")
    assert len(lineage.upstream("x")) == 5
    assert lineage.downstream("collector/kraken") == ("streams/x", "x", "y")


SUBJECTS = ["a", "b", "c"]
wrong = st.lists(
    st.builds(
        finding,
        st.sampled_from(SUBJECTS),
        affected_rows=st.integers(0, 2),
        severity=st.sampled_from(["error", "warn"]),
        title=st.sampled_from(["one", "two"]),
    ),
    max_size=5,
)
looks = st.lists(st.tuples(wrong, st.sets(st.sampled_from(SUBJECTS))), max_size=12)


@given(history=looks, data=st.data())
def test_a_subject_has_one_open_incident_and_it_closes_exactly_when_its_evidence_is_gone(
    history: list[tuple[list[Finding], set[str]]], data: st.DataObject
) -> None:
    table: dict[str, Incident] = {}
    expected: set[str] = set()
    for number, (found, cleared) in enumerate(history):
        standing = data.draw(st.permutations(sorted(table.values(), key=lambda one: one.incident_id)))
        told = reconcile(standing, found, cleared, NOON + number * SECOND)
        again = reconcile(standing, data.draw(st.permutations(found)), cleared, NOON + number * SECOND)
        assert sorted(told, key=str) == sorted(again, key=str), "the order of findings does not matter"
        for one in told:
            before = table.get(one.incident_id)
            assert one.revision == (before.revision + 1 if before else 1)
            assert before is None or before.is_open, "a closed incident is never touched again"
            table[one.incident_id] = one
        names = {one.subject for one in found}
        expected = (expected | names) - (cleared - names)
        still_open = [one.subject for one in table.values() if one.is_open]
        assert sorted(still_open) == sorted(expected)
        assert reconcile(table.values(), found, cleared, NOON + number * SECOND + 1) == [], "looking again adds nothing"
    for one in table.values():
        assert one.is_open == (one.closed_time == 0)
        assert one.is_open or one.closed_time > one.opened_time
