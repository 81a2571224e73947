"""Write the demo tapes anew from the recordings that README.md names."""

import sys
from collections import Counter
from pathlib import Path

from sources.demo import TAPES
from sources.recorder import Recording, record
from sources.venues import venue

HFTBACKTEST, CRYPTOFEED = "nkaz001+hftbacktest/examples__", "bmoscon+cryptofeed/sample_data__"
SOURCES = {
    "binance": (
        (f"{HFTBACKTEST}spot__btcusdt_20240808.gz", "spot"),
        (f"{HFTBACKTEST}usdm__btcusdt_20240808.gz", "usdm"),
        (f"{CRYPTOFEED}BINANCE.ws.1.0", "spot"),
        (f"{CRYPTOFEED}BINANCE.http.0.0", "spot"),
        (f"{CRYPTOFEED}BINANCE_FUTURES.ws.1.0", "usdm"),
        (f"{CRYPTOFEED}BINANCE_FUTURES.http.0.0", "usdm"),
        (f"{CRYPTOFEED}BINANCE_FUTURES.0", "usdm"),
    ),
    "coinbase": (
        (f"{CRYPTOFEED}COINBASE.ws.28.0.products_A", "exchange"),
        (f"{CRYPTOFEED}COINBASE.0", "exchange"),
        (f"{CRYPTOFEED}COINBASE.jsonl.zst", "advanced"),
    ),
    "kraken": (
        (f"{CRYPTOFEED}KRAKEN.ws.48.0", "v1"),
        (f"{CRYPTOFEED}KRAKEN.ws.49.0", "v1"),
        (f"{CRYPTOFEED}KRAKEN.ws.50.0", "v1"),
        (f"{CRYPTOFEED}KRAKEN.0", "v1"),
    ),
}
SOURCE = "github.com/nkaz001/hftbacktest examples, github.com/bmoscon/cryptofeed sample_data; see README.md"
LICENCE = "hftbacktest: MIT; cryptofeed: XFree86-style; texts in README.md beside this file"


def make(recordings: Path, name: str, target: Path) -> Counter[str]:
    """Write every payload of a venue's recordings below that folder into one tape; return the counts.

    Heartbeats and answers too: some venues number their messages, and one left out would look like one lost.
    """
    files = [Recording(recordings / path, endpoint) for path, endpoint in SOURCES[name]]
    return record(venue(name), files, target, keep=lambda _: True, source=SOURCE, licence=LICENCE)


if __name__ == "__main__":
    for name, target in TAPES.items():
        counts = make(Path(sys.argv[1]), name, target)
        sys.stdout.write("".join(f"{name} {what}: {count}\n" for what, count in sorted(counts.items())))
