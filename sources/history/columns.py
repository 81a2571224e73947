"""Which column of a table means what: by the user's word, else by the usual names."""

import re
from collections.abc import Mapping, Sequence

from contracts.errors import TerminalError
from contracts.history import KINDS, NAMED_KINDS

# The usual names, in order of preference; a name is compared in lower case without anything but letters and digits.
_USUAL: dict[str, tuple[str, ...]] = {
    "time": (
        "time",
        "timestamp",
        "datetime",
        "date",
        "day",
        "opentime",
        "bartime",
        "eventtime",
        "dateutc",
        "timestampms",
        "ts",
        "t",
        "unix",
        "localtime",
        "exchangetime",
        "transacttime",
        "tradedate",
        "ttimestamp",
    ),
    "received_time": ("receivedtime", "localtimestamp", "recvtime", "receivetime", "receipttimestamp"),
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "highprice"),
    "low": ("low", "l", "lowprice"),
    "close": ("close", "c", "closeprice", "last", "closelast"),
    "volume": ("volume", "vol", "v", "volumebtc", "basevolume"),
    "trade_count": ("tradecount", "count", "trades", "numberoftrades", "ntrades"),
    "vwap": ("vwap", "weightedaverage"),
    "adjusted": ("adjusted", "adjclose", "adjustedclose", "closeadjusted"),
    "dividend": ("dividend", "dividends", "divcash"),
    "split": ("split", "splits", "stocksplits", "splitfactor", "splitratio"),
    "price": ("price", "p", "px", "tradeprice", "ethprice", "lastprice"),
    "quantity": ("quantity", "qty", "size", "amount", "q", "volume", "tradesize", "shares"),
    "trade_id": ("tradeid", "id", "tid", "txid", "aggtradeid", "aggregatetradeid"),
    "side": ("side", "takerside", "aggressor", "direction"),
    "exchange": ("exch", "exchangecode"),
    "condition": ("condition", "conditions", "salecondition"),
    "suspicious": ("suspicious",),
    "bid_price": ("bidprice", "bid", "bestbid", "bidpx", "bestbidprice"),
    "ask_price": ("askprice", "ask", "bestask", "askpx", "bestaskprice", "offer", "offerprice"),
    "bid_quantity": ("bidquantity", "bidqty", "bidsize", "bidamount", "bestbidqty", "bestbidsize"),
    "ask_quantity": ("askquantity", "askqty", "asksize", "askamount", "bestaskqty", "bestasksize"),
    "value": ("return", "returns", "ret"),
    "first_id": ("firstupdateid", "firstid"),
    "last_id": ("lastupdateid", "lastid", "updateid", "sequence"),
    "previous_id": ("pu", "prevupdateid", "previousid", "previousupdateid"),
    "level": ("level",),
    "instrument": ("symbol", "instrument", "ticker", "pair", "name", "coin", "asset", "productid", "contract"),
}
# What tells each kind, tried in this order: these columns must be there.
_TELLING: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("quotes", ("time", "bid_price", "ask_price")),
    ("books", ("time", "side", "price", "quantity", "last_id")),
    ("bars", ("time", "open", "high", "low", "close")),
    ("trades", ("time", "price", "quantity")),
    ("trades", ("time", "price", "trade_id")),
    ("bars", ("time", "close")),
    ("returns", ("time", "value")),
    ("bars", ("time", "price")),
)
_REQUIRED = {"bars": ("time", "close"), "trades": ("time", "price"), "quotes": ("time", "bid_price", "ask_price")}
_REQUIRED["books"] = ("time", "side", "price", "quantity")


def parsed_columns(text: str, kind: str) -> dict[str, str]:
    """Return what `time=DATE,open=OPEN` says: ours to theirs. TerminalError for a name that the kind doesn't have."""
    valid = ["instrument", *KINDS[kind][0], *KINDS[kind][1]]
    said: dict[str, str] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        ours, is_there, theirs = part.partition("=")
        if not is_there or ours.strip() not in valid or not theirs.strip():
            raise TerminalError(f"--columns says {part!r}; valid is NAME=THEIRS with NAME one of {', '.join(valid)}")
        said[ours.strip()] = theirs.strip()
    return said


def mapped(header: Sequence[str], kind: str = "", said: Mapping[str, str] | None = None) -> tuple[str, dict[str, str]]:
    """Return the kind of a table and its columns, ours to theirs; an empty kind where the header tells none.

    Raises TerminalError when the user names a column that isn't there, or a kind whose columns are missing.
    """
    said = dict(said or {})
    by_name = {_plain(name): name for name in reversed(header)}
    by_last = {_plain(name.rpartition(".")[2]): name for name in reversed(header) if "." in name}
    for ours, theirs in said.items():
        if theirs not in header:
            found = by_name.get(_plain(theirs))
            if found is None:
                raise TerminalError(f"no column is called {theirs!r}; the file has {', '.join(header)}")
            said[ours] = found
    usual = {}
    for ours, names in _USUAL.items():
        found = next((by_name.get(one) or by_last.get(one) for one in names if one in by_name or one in by_last), None)
        if found is not None and found not in said.values():
            usual[ours] = found
    known = usual | said
    if not kind:
        kind = next((one for one, needed in _TELLING if all(name in known for name in needed)), "")
        if not kind:
            return "", {}
    if kind == "bars" and "close" not in known and "price" in known:
        known["close"] = known["price"]
    wanted = ["instrument", *KINDS[kind][0], *KINDS[kind][1]]
    chosen = {ours: theirs for ours, theirs in known.items() if ours in wanted}
    missing = [name for name in _REQUIRED.get(kind, ()) if name not in chosen]
    if missing:
        raise TerminalError(
            f"nothing says which column holds {', '.join(missing)}; the file has {', '.join(header)}: "
            f"name them with --columns {missing[0]}=..."
        )
    return kind, chosen


def checked_kind(kind: str) -> str:
    """Return the kind if a user can name it."""
    if kind and kind not in NAMED_KINDS:
        raise TerminalError(f"--as {kind!r} is no kind of rows; valid: {', '.join(NAMED_KINDS)}")
    return kind


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
