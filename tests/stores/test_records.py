"""What is encoded, one event a record or many, is what readers of either get; what is damaged is refused as a whole."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.avro import avro_text
from contracts.books import BOOKS
from contracts.catalog import DATASETS
from contracts.dataset import Column, Dataset, ListOf, Type
from contracts.dataset import Decimal as DecimalColumn
from contracts.errors import TerminalError
from contracts.instruments import INSTRUMENTS
from contracts.quarantine import QUARANTINE
from contracts.tape import TAPE
from contracts.trades import TRADES
from stores import registry
from stores.records import ARROW_MARK, BatchDecoder, RecordDecoder, RecordEncoder, is_batch, pack
from stores.settings import RegistrySettings

NOWHERE = RegistrySettings("http://127.0.0.1:9")
ON_WIRE = [d for d in DATASETS if d.topic is not None]
RICH = (TRADES, BOOKS, INSTRUMENTS, QUARANTINE)  # every type between them


@pytest.fixture(autouse=True)
def known_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the registry, which test_registry.py asks: each dataset's schema has its place in the list as id."""
    ids = {dataset.name: number for number, dataset in enumerate(DATASETS)}
    monkeypatch.setattr(registry, "register", lambda _, dataset, __: ids[dataset.name])

    def text(_: RegistrySettings, schema_id: int) -> str:
        if schema_id >= len(DATASETS):
            raise TerminalError(f"no schema {schema_id}")
        return avro_text(DATASETS[schema_id])

    monkeypatch.setattr(registry, "schema_by_id", text)


def values(type: Type | DecimalColumn | ListOf) -> st.SearchStrategy[Any]:
    if isinstance(type, ListOf):
        return st.lists(values(type.item), max_size=4)
    if isinstance(type, DecimalColumn):
        most = 10**type.precision - 1
        return st.integers(-most, most).map(lambda whole: Decimal(whole).scaleb(-type.scale))
    bits = {Type.INT32: 31, Type.INT64: 63, Type.TIMESTAMP: 63}
    if type in bits:
        return st.integers(-(2 ** bits[type]), 2 ** bits[type] - 1)
    return st.binary(max_size=9) if type is Type.BYTES else st.text(max_size=9)


def rows_of(dataset: Dataset) -> st.SearchStrategy[list[dict[str, Any]]]:
    row = st.fixed_dictionaries({column.name: values(column.type) for column in dataset.wire_columns})
    return st.lists(row, min_size=1, max_size=8)


def encoder(dataset: Dataset) -> RecordEncoder:
    return RecordEncoder(NOWHERE, dataset, "topic")


@pytest.mark.parametrize("dataset", RICH, ids=lambda d: d.name)
def test_rows_come_back_as_they_were_in_either_framing(dataset: Dataset) -> None:
    writer, reader = encoder(dataset), RecordDecoder(NOWHERE, dataset)

    @settings(max_examples=60)
    @given(rows_of(dataset))
    def check(rows: list[dict[str, Any]]) -> None:
        together = writer.encode_batch(rows)
        assert is_batch(together)
        assert reader.rows(together) == rows
        for row in rows:
            alone = writer.encode(row)
            assert not is_batch(alone)
            assert reader.rows(alone) == [row]

    check()


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_batch_is_refused_or_read_and_never_ends_the_reader(data: st.DataObject) -> None:
    whole = five_trades()
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = RecordDecoder(NOWHERE, TRADES).rows(bytes(damaged))
    except TerminalError:
        return
    assert found
    assert all(set(row) == {column.name for column in TRADES.wire_columns} for row in found)


def trade(number: int) -> dict[str, Any]:
    row: dict[str, Any] = {c.name: 1 if isinstance(c.type, Type) else Decimal(1) for c in TRADES.wire_columns}
    row |= {c.name: f"{c.name}-{number}" for c in TRADES.wire_columns if c.type is Type.STRING}
    return row | {"venue_sequence": number}


def five_trades() -> bytes:
    return encoder(TRADES).encode_batch([trade(number) for number in range(5)])


def table(change: Callable[[pa.Table], pa.Table]) -> pa.Buffer:
    changed = change(BatchDecoder(TRADES).decode(pa.py_buffer(five_trades())))
    batches = changed.to_batches() or [pa.RecordBatch.from_pylist([], schema=changed.schema)]
    return pa.py_buffer(pack(1, batches[0]))


def test_a_batch_of_an_older_contract_has_its_defaults_and_of_a_newer_one_what_is_known() -> None:
    colour = Column("colour", Type.STRING, "New.", default="none")
    wider = Dataset("market.trades", "", (*TRADES.columns, colour), TRADES.grain)
    assert BatchDecoder(wider).decode(table(lambda t: t))["colour"].to_pylist() == ["none"] * 5
    newer = table(lambda t: t.add_column(3, "colour", pa.array(["red"] * 5)))
    assert BatchDecoder(TRADES).decode(newer).equals(BatchDecoder(TRADES).decode(table(lambda t: t)))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.drop_columns(["price"]),
        lambda t: t.set_column(5, "price", t["price"].cast(pa.float64())),
        lambda t: t.append_column("price", t["price"]),
        lambda t: t.set_column(3, "trade_id", pa.array(["1", None, "3", "4", "5"])),
        lambda t: t.slice(0, 0),
    ],
    ids=["a column lacks", "another type", "a column twice", "a value lacks", "no event"],
)
def test_a_batch_that_does_not_fit_the_contract_is_refused_whole(change: Callable[[pa.Table], pa.Table]) -> None:
    with pytest.raises(TerminalError, match=r"a batch of market\.trades"):
        BatchDecoder(TRADES).decode(table(change))


def test_a_batch_whose_texts_reach_beyond_it_is_refused() -> None:
    ends = b"".join(n.to_bytes(4, "little") for n in (0, 10, 20))  # of trade_id-0 and trade_id-1
    whole = five_trades()
    assert ends in whole
    beyond = whole.replace(ends, ends[:8] + b"\xff\xff\xff\x7f")
    with pytest.raises(TerminalError, match="can't be decoded"):
        RecordDecoder(NOWHERE, TRADES).rows(beyond)


@pytest.mark.parametrize("change", [{"side": 7}, {"price": Decimal("1e13")}, {"message_index": 2**31}, {"venue": None}])
def test_rows_of_which_one_does_not_fit_are_not_encoded(change: dict[str, Any]) -> None:
    with pytest.raises(TerminalError, match=r"2 rows do not all fit contract market\.trades"):
        encoder(TRADES).encode_batch([trade(1), trade(2) | change])


@pytest.mark.parametrize("dataset", [*ON_WIRE, TAPE], ids=lambda d: d.name)
def test_no_single_record_can_look_like_a_batch(dataset: Dataset) -> None:
    # A text first: its length is never negative, and the mark read as one is.
    assert dataset.wire_columns[0].type is Type.STRING
    assert ARROW_MARK[0] & 1
