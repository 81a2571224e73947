"""When a day is asked for: worked examples, then any history of changes and ticks."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from jobs.closing import SECOND, ChangedDay, Closing, Cursor, Patience, plan

FIRST = date(2021, 1, 1)
DAY = date(2026, 3, 1)
END = int(datetime.combine(DAY + timedelta(days=1), time(), UTC).timestamp()) * SECOND
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def decide(*changed: ChangedDay, now: int, cursor: Cursor | None = None, **more: object) -> Closing:
    return plan(changed, cursor or Cursor(), now, first_day=FIRST, **more)  # type: ignore[arg-type]


def test_a_day_is_due_once_every_venue_has_traded_past_it_and_its_bars_are_quiet() -> None:
    one = ChangedDay(DAY, known=END + MINUTE, slowest_venue=END + MINUTE)
    assert decide(one, now=END + 2 * MINUTE).due == (one,)


def test_a_day_waits_for_the_venue_that_is_behind() -> None:
    one = ChangedDay(DAY, known=END - HOUR, slowest_venue=END - HOUR)
    closing = decide(one, now=END + 5 * MINUTE)
    assert (closing.due, closing.waiting) == ((), (f"{DAY}: a venue that traded on it may still be behind",))


def test_a_silent_venue_does_not_hold_a_day_back_for_good() -> None:
    one = ChangedDay(DAY, known=END - HOUR, slowest_venue=END - HOUR)
    assert decide(one, now=END + 10 * MINUTE).due == (one,)


def test_a_venue_whose_clock_is_ahead_does_not_end_the_day() -> None:
    one = ChangedDay(DAY, known=END - HOUR, slowest_venue=END + HOUR)
    assert decide(one, now=END - MINUTE).waiting == (f"{DAY}: the day is not over",)


def test_a_refill_that_is_still_coming_in_is_waited_for() -> None:
    one = ChangedDay(DAY, known=END + 24 * HOUR, slowest_venue=END + HOUR)
    assert decide(one, now=one.known + MINUTE - 1).waiting == (f"{DAY}: its bars are still changing",)
    assert decide(one, now=one.known + MINUTE).due == (one,)


def test_a_day_under_way_is_asked_for_afterwards() -> None:
    one = ChangedDay(DAY, known=END, slowest_venue=END + HOUR)
    first = decide(one, now=END + HOUR, running={DAY})
    assert first.due == ()
    assert decide(one, now=END + HOUR, cursor=first.cursor).due == (one,)


def test_days_before_the_first_partition_are_named_and_passed_over() -> None:
    one = ChangedDay(date(2019, 1, 1), known=5, slowest_venue=END)
    closing = decide(one, now=END)
    assert (closing.due, closing.cursor.since) == ((), 5)
    assert "2019-01-01 lies before the first partition" in closing.waiting[0]


def test_many_days_are_asked_for_a_few_at_a_time() -> None:
    days = [ChangedDay(FIRST + timedelta(days=n), known=1_000 + n // 7, slowest_venue=END) for n in range(25)]
    cursor, sizes = Cursor(), []
    asked: list[ChangedDay] = []
    for _ in range(4):
        closing = decide(*(d for d in days if d.known > cursor.since), now=END, cursor=cursor)
        cursor = Cursor.parse(closing.cursor.text)
        sizes.append(len(closing.due))
        asked += closing.due
    assert sizes == [10, 10, 5, 0]
    assert asked == days


def test_a_cursor_that_cannot_be_read_starts_over() -> None:
    for text in (None, "", "{", "[]", '{"since": "x"}', '{"since": 3}', '{"since": 3, "done": {"a": "b"}}'):
        assert Cursor.parse(text) == Cursor()


@dataclass
class World:
    """Bars that change while the sensor ticks."""

    now: int = 0
    known: dict[date, int] = field(default_factory=dict)
    changes: dict[date, list[int]] = field(default_factory=dict)
    asked: list[tuple[date, int, int]] = field(default_factory=list)
    cursor: Cursor = field(default_factory=Cursor)

    def change(self, days: list[date]) -> None:
        for day in days:
            self.known[day] = self.now
            self.changes.setdefault(day, []).append(self.now)

    def tick(self, limit: int, running: set[date]) -> None:
        changed = sorted(
            (ChangedDay(d, k, slowest_venue=self.now) for d, k in self.known.items() if k > self.cursor.since),
            key=lambda one: (one.known, one.day),
        )
        closing = plan(changed, self.cursor, self.now, first_day=FIRST, running=running, limit=limit)
        assert len(closing.due) <= limit
        for one in closing.due:
            assert one.day not in running
            assert self.now - one.known >= Patience().quiet, "asked for while it was changing"
            assert self.now >= one.end, "asked for before it was over"
            self.asked.append((one.day, one.known, self.now))
        self.cursor = Cursor.parse(closing.cursor.text)


DAYS = [DAY + timedelta(days=n) for n in range(4)]
days = st.lists(st.sampled_from(DAYS), min_size=1, unique=True)
steps = st.lists(
    st.tuples(
        st.integers(1, 20 * HOUR),
        st.one_of(st.tuples(st.just("change"), days), st.tuples(st.just("tick"), st.just([]) | days)),
    ),
    max_size=40,
)


@given(history=steps, limit=st.integers(1, 3))
def test_each_change_is_asked_for_exactly_once_and_none_is_forgotten(
    history: list[tuple[int, tuple[str, list[date]]]], limit: int
) -> None:
    world = World(now=END - 30 * HOUR)
    for pause, (kind, chosen) in history:
        world.now += pause
        if kind == "change":
            world.change(chosen)
        else:
            world.tick(limit, set(chosen))
    world.now += 10 * 24 * HOUR
    for _ in range(len(DAYS) + 1):
        world.tick(limit, set())
    asked = [(day, known) for day, known, _ in world.asked]
    assert len(asked) == len(set(asked)), "a change was asked for twice"
    assert {day: max(k for d, k in asked if d == day) for day in world.changes} == world.known, "forgotten"
    assert all(known in world.changes[day] for day, known in asked)
    settled = len(asked)
    world.tick(limit, set())
    assert len(world.asked) == settled
    assert world.cursor.done == {}, "the cursor does not grow"
