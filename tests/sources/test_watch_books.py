"""Books take what follows, notice what does not, and agree with the venues' own checksums."""

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.endpoints import Levels
from sources.watch.books import Book, Books
from sources.watch.side import Side

Row = dict[str, Any]


def row(kind: str, sequence: int, previous: int = -1, asks: Any = (), bids: Any = (), **more: Any) -> Row:
    """Return a row of market.books; levels are pairs of texts."""
    sides = {
        f"{name}_{what}": [Decimal(level[at]) for level in levels]
        for name, levels in (("ask", asks), ("bid", bids))
        for at, what in enumerate(("prices", "quantities"))
    }
    placed = {"instrument": "BTCUSDT", "id_space": "book", "chain": "", "checksum": -1, "depth": 0}
    return placed | sides | {"kind": kind, "venue_sequence": sequence, "previous_sequence": previous} | more


# --- what was recorded ---


def lines(path: Path) -> Iterator[tuple[float, str, Any]]:
    """Yield time, address and message of a recording of cryptofeed."""
    for line in path.read_text().splitlines():
        match = re.match(r"(?:(\S+) -> )?([0-9.]+): (.*)", line)
        if match and (match[1] or line[0].isdigit()):
            yield float(match[2]), match[1] or "", orjson.loads(match[3])


def recorded(recordings: Path, venue: str) -> list[Row]:
    """Return snapshots and deltas of a recording of Binance in the order of receipt."""
    folder, found = recordings / "bmoscon+cryptofeed", []
    for name in ("http", "ws"):
        (path,) = folder.glob(f"sample_data__{venue}.{name}.*")
        for time, address, message in lines(path):
            if address:
                match = re.search("symbol=([A-Z]+)", address)
                assert match
                made = row(
                    "snapshot", message["lastUpdateId"], -1, message["asks"], message["bids"], instrument=match[1]
                )
            elif "depth" in message["stream"]:
                data = message["data"]
                previous = data.get("pu", data["U"] - 1)
                made = row("delta", data["u"], previous, data["a"], data["b"], instrument=data["s"])
            else:
                continue
            found.append((time, made))
    return [made for _, made in sorted(found, key=lambda pair: pair[0])]


@pytest.mark.parametrize(("venue", "dropped"), [("BINANCE", 5), ("BINANCE_FUTURES", 15)])
def test_recorded_chains_are_gapless_and_older_diffs_dropped(recordings: Path, venue: str, dropped: int) -> None:
    rows, books, snapshots = recorded(recordings, venue), Books(), {}
    for made in rows:
        outcome = books.apply(made)
        if made["kind"] == "snapshot":
            snapshots[made["instrument"]] = made["venue_sequence"], outcome
    assert len(snapshots) == len(books.books) == 4
    assert books.incomplete() == []
    assert set(books.outcomes) <= {"snapshot", "applied", "waiting", "stale"}
    stale = books.outcomes["stale"] + sum(outcome.dropped for _, outcome in snapshots.values())
    deltas = [made for made in rows if made["kind"] == "delta"]
    assert stale == dropped == sum(d["venue_sequence"] <= snapshots[d["instrument"]][0] for d in deltas)
    replayed = sum(outcome.replayed for _, outcome in snapshots.values())
    assert replayed + books.outcomes["applied"] == len(deltas) - stale
    assert books.crossed == 0
    for instrument, (last, _) in snapshots.items():
        usable = next(d for d in deltas if d["instrument"] == instrument and d["venue_sequence"] > last)
        assert usable["previous_sequence"] < last + 1 <= usable["venue_sequence"]


@pytest.mark.parametrize("venue", ["BINANCE", "BINANCE_FUTURES"])
def test_a_removed_diff_is_one_hole_of_one_book_until_the_next_snapshot(recordings: Path, venue: str) -> None:
    rows, whole = recorded(recordings, venue), Books()
    usable = [made for made in rows if whole.apply(made).kind == "applied"]
    lost = usable[len(usable) // 2]
    books, holes, late = Books(), [], []
    for made in rows:
        if made is lost:
            continue
        outcome = books.apply(made)
        if outcome.kind == "hole":
            holes.append((made["instrument"], outcome.missing))
        if holes and made["instrument"] == lost["instrument"]:
            late.append(made)
    key = (lost["instrument"], "book")
    before = [m for m in rows if m["instrument"] == lost["instrument"] and m["venue_sequence"] < lost["venue_sequence"]]
    first = before[-1]["venue_sequence"] + 1
    assert holes == [(lost["instrument"], (first, late[0]["previous_sequence"]))]
    assert first <= lost["venue_sequence"] <= late[0]["previous_sequence"]
    assert books.incomplete() == [key]
    # a snapshot of just before the hole does not help, one of within the deltas kept does
    assert books.apply(snapshot_of(whole.books[key], before[-1]["venue_sequence"], key[0])).kind == "too_old"
    state = Book()
    for made in rows:
        if made["instrument"] == key[0] and made["venue_sequence"] <= late[2]["venue_sequence"]:
            state.apply(made)
    healed = books.apply(snapshot_of(state, late[2]["venue_sequence"], key[0]))
    assert (healed.kind, healed.dropped, healed.replayed) == ("snapshot", 3, len(late) - 3)
    assert books.incomplete() == []
    assert books.books[key].top(9999) == whole.books[key].top(9999)


def snapshot_of(book: Book, sequence: int, instrument: str) -> Row:
    asks, bids = book.top(9999)
    return row("snapshot", sequence, -1, asks, bids, instrument=instrument)


def kraken_checksum(asks: Levels, bids: Levels) -> int:
    digits = "".join(
        str(f"{number:f}").replace(".", "").lstrip("0")
        for side in (asks, bids)
        for level in side[:10]
        for number in level
    )
    return zlib.crc32(digits.encode())


def kraken(recordings: Path) -> Iterator[Row]:
    for _, _, message in lines(recordings / "bmoscon+cryptofeed/sample_data__KRAKEN.ws.50.0"):
        if not isinstance(message, list):
            continue
        parts = {name: value for part in message[1:-2] for name, value in part.items()}
        kind = "snapshot" if "as" in parts else "delta"
        asks, bids = parts.get("as", parts.get("a", ())), parts.get("bs", parts.get("b", ()))
        more = {"instrument": message[-1], "chain": "c1", "depth": 1000, "checksum": int(parts.get("c", -1))}
        yield row(kind, 0, -1, asks, bids, **more)


def test_every_recorded_checksum_of_kraken_matches(recordings: Path) -> None:
    books = Books(kraken_checksum)
    for made in kraken(recordings):
        books.apply(made)
    assert (books.checksums_matched, books.checksums_failed) == (4269, 0)
    assert books.outcomes == {"snapshot": 10, "applied": 4269}
    assert books.incomplete() == []


def test_a_lost_update_of_kraken_is_told_by_the_checksum(recordings: Path) -> None:
    books, busiest = Books(kraken_checksum), "XMR/USD"
    deltas = 0
    for made in kraken(recordings):
        if made["instrument"] == busiest and made["kind"] == "delta":
            deltas += 1
            if 20 <= deltas < 40:
                continue
        books.apply(made)
    assert books.checksums_failed == 1
    assert books.incomplete() == [(busiest, "book")]
    assert books.outcomes["incomplete"] > 0


# --- what can come in any order ---


@dataclass
class Venue:
    """A numbered book and all its states."""

    states: list[dict[Decimal, Decimal]] = field(default_factory=lambda: [{}])
    deltas: list[Row] = field(default_factory=list)

    def trade(self, changes: list[tuple[int, int]]) -> None:
        before, state = len(self.states) - 1, dict(self.states[-1])
        for price, quantity in changes:
            state[Decimal(price)] = Decimal(quantity)
            self.states.append({p: q for p, q in state.items() if q})
        self.deltas.append(row("delta", len(self.states) - 1, before, bids=changes))

    def snapshot(self, sequence: int) -> Row:
        return row("snapshot", sequence, -1, bids=list(self.states[sequence].items()))


CHANGES = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), min_size=1, max_size=3)


@given(st.lists(CHANGES, min_size=1, max_size=12), st.data())
def test_a_complete_book_is_the_venues_whatever_was_lost_repeated_or_late(
    batches: list[list[tuple[int, int]]], data: st.DataObject
) -> None:
    venue = Venue()
    for changes in batches:
        venue.trade(changes)
    last = len(venue.states) - 1
    one = st.one_of(st.sampled_from(venue.deltas), st.integers(0, last).map(venue.snapshot))
    inserted = data.draw(st.lists(st.tuples(st.integers(0, len(batches)), one), max_size=8))
    lost = data.draw(st.sets(st.integers(0, len(batches) - 1)))
    sent: list[Row] = []
    for at in range(len(batches) + 1):
        sent += [made for place, made in inserted if place == at]
        sent += [venue.deltas[at]] if at < len(batches) and at not in lost else []
    book, heard, snapshots = Book(), list[Row](), list[int]()
    for made in [*sent, venue.snapshot(last)]:
        was_complete, outcome = book.complete, book.apply(made)
        if made["kind"] == "snapshot":
            snapshots.append(made["venue_sequence"])
        else:
            heard.append(made)
        # how far the snapshots reach with all that was heard, in whatever order
        reach = max(snapshots, default=-1)
        for delta in sorted(heard, key=lambda delta: delta["venue_sequence"]) if snapshots else ():
            if delta["previous_sequence"] <= reach:
                reach = max(reach, delta["venue_sequence"])
        newest = max([reach, *(delta["venue_sequence"] for delta in heard)])
        assert book.complete == (bool(snapshots) and reach == newest), outcome
        assert book.last_sequence == reach
        if snapshots:
            assert dict(book.top(99)[1]) == venue.states[reach]
        if outcome.kind in ("snapshot", "healed"):
            assert book.complete
        if outcome.kind == "applied":  # never the one that makes it whole
            assert book.complete == was_complete
        if outcome.kind in ("hole", "too_old", "waiting"):
            assert not book.complete
    assert book.complete
    assert book.kept == 0
    assert dict(book.top(99)[1]) == venue.states[last]


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3))), st.integers(1, 12), st.booleans())
def test_a_side_is_a_sorted_dict(changes: list[tuple[int, int]], n: int, bids: bool) -> None:
    side, model = Side(bids), dict[Decimal, Decimal]()
    for price, quantity in changes:
        side.update([Decimal(price)], [Decimal(quantity)])
        model[Decimal(price)] = Decimal(quantity)
    best = sorted(((p, q) for p, q in model.items() if q), reverse=bids)
    assert side.top(n) == best[:n]
    assert side.best == (best[0] if best else None)
    reached = [q for p, q in best if (p >= 20 if bids else p <= 20)]
    assert side.until(Decimal(20)) == sum(reached)
    side.truncate(n)
    assert side.top(99) == best[:n]
    assert len(side) == len(best[:n])


# --- single rules ---


def test_deltas_before_the_snapshot_are_replayed_and_the_oldest_forgotten_beyond_patience() -> None:
    book = Book(patience=3)
    kinds = Counter(book.apply(row("delta", n, n - 1, bids=[("5", str(n))])).kind for n in range(1, 6))
    assert kinds == {"waiting": 5}
    assert (book.kept, book.forgotten) == (3, 2)
    useless = book.apply(row("snapshot", 1))
    assert (useless.kind, useless.missing) == ("too_old", (2, 2))
    healed = book.apply(row("snapshot", 2))
    assert (healed.kind, healed.replayed, book.last_sequence) == ("snapshot", 3, 5)
    assert book.best_bid == (Decimal(5), Decimal(5))


def test_a_late_delta_closes_the_hole_that_it_left() -> None:
    book = Book()
    book.apply(row("snapshot", 1))
    assert book.apply(row("delta", 3, 2)).missing == (2, 2)
    assert book.apply(row("delta", 4, 3)).kind == "waiting"
    late = book.apply(row("delta", 2, 1))
    assert (late.kind, late.replayed, book.complete, book.last_sequence) == ("healed", 2, True, 4)


def test_a_complete_book_is_not_set_back_by_an_older_snapshot() -> None:
    book = Book()
    book.apply(row("snapshot", 5, bids=[("5", "1")]))
    book.apply(row("delta", 6, 5, bids=[("5", "2")]))
    assert book.apply(row("snapshot", 5, bids=[("5", "1")])).kind == "stale"
    assert book.last_sequence == 6
    assert book.best_bid == (Decimal(5), Decimal(2))


def test_deltas_by_connection_need_the_snapshot_of_theirs() -> None:
    books = Books()

    def apply(kind: str, chain: str) -> str:
        return books.apply(row(kind, 0, -1, bids=[("5", "1")], chain=chain)).kind

    assert apply("delta", "c1") == "incomplete"
    assert apply("snapshot", "c1") == "snapshot"
    assert apply("delta", "c1") == "applied"
    assert apply("delta", "c2") == "other_chain"
    assert books.incomplete() == []
    assert books.drop_chain("c2") == []
    assert books.drop_chain("c1") == [("BTCUSDT", "book")]
    assert books.drop_chain("c1") == []
    assert books.incomplete() == [("BTCUSDT", "book")]
    assert apply("delta", "c2") == "incomplete"
    assert apply("snapshot", "c2") == "snapshot"
    assert apply("delta", "c1") == "other_chain"
    assert apply("snapshot", "c3") == "snapshot"
    assert apply("delta", "c3") == "applied"


def test_after_a_failed_checksum_only_a_snapshot_helps() -> None:
    book = Book(lambda asks, bids: len(asks) * 100 + len(bids))
    book.apply(row("snapshot", 1, bids=[("5", "1")], checksum=1))
    assert book.apply(row("delta", 2, 1, bids=[("4", "1")], checksum=2)).checksum is True
    failed = book.apply(row("delta", 3, 2, bids=[("3", "1")], checksum=99))
    assert (failed.kind, failed.checksum, book.complete) == ("checksum_failed", False, False)
    assert book.apply(row("delta", 4, 3, asks=[("6", "1")], checksum=104)).kind == "waiting"
    assert book.apply(row("snapshot", 2)).kind == "too_old"
    healed = book.apply(row("snapshot", 3, bids=[("5", "1"), ("4", "1"), ("3", "1")], asks=[("7", "1")], checksum=103))
    assert healed.kind == "checksum_failed"  # the kept delta's: two asks where the venue says one
    assert (book.checksums_matched, book.checksums_failed) == (3, 2)


def test_truncation_drops_the_worst_of_each_side() -> None:
    book = Book()
    book.apply(row("snapshot", 1, asks=[("7", "1"), ("8", "1")], bids=[("5", "1"), ("4", "1")], depth=2))
    book.apply(row("delta", 2, 1, asks=[("6", "1")], bids=[("3", "1")], depth=2))
    assert [[int(price) for price, _ in side] for side in book.top(9)] == [[6, 7], [5, 4]]


def test_digits_are_kept_as_the_last_message_wrote_them() -> None:
    book = Book()
    book.apply(row("snapshot", 1, asks=[("7.0", "1.10")]))
    book.apply(row("delta", 2, 1, asks=[("7.00", "1.100")]))
    assert [str(number) for number in book.top(1)[0][0]] == ["7.00", "1.100"]


def test_a_crossed_book_is_counted_and_kept() -> None:
    book = Book()
    book.apply(row("snapshot", 1, asks=[("6", "1")], bids=[("5", "1")]))
    assert not book.apply(row("delta", 2, 1, bids=[("5.5", "1")])).crossed
    assert book.apply(row("delta", 3, 2, bids=[("6", "1")])).crossed
    assert book.apply(row("delta", 4, 3, bids=[("7", "1")])).crossed
    assert not book.apply(row("delta", 5, 4, bids=[("6", "0"), ("7", "0")])).crossed
    assert (book.crossed, book.complete) == (2, True)


def test_depth_and_imbalance_are_exact() -> None:
    book = Book()
    assert book.imbalance(5) is None
    assert book.depth_within(Decimal("0.1")) == (Decimal(0), Decimal(0))
    asks, bids = [("101", "0.1"), ("102", "0.2"), ("200", "9")], [("99", "0.4"), ("98", "1")]
    book.apply(row("snapshot", 1, asks=asks, bids=bids))
    assert book.imbalance(1) == Fraction(3, 5)
    assert book.imbalance(2) == Fraction(11, 17)
    assert book.depth_within(Decimal("0.01")) == (Decimal("0.1"), Decimal("0.4"))
    assert book.depth_within(Decimal("0.02")) == (Decimal("0.3"), Decimal("1.4"))


def test_removed_levels_leave_prices_in_order() -> None:
    side = Side(bids=True)
    side.load([Decimal(n) for n in (3, 1, 2)], [Decimal(1)] * 3)
    side.update([Decimal(2), Decimal(9)], [Decimal(0), Decimal(0)])
    assert all(left < right for left, right in pairwise(side.prices))
    assert side.prices == [1, 3]
