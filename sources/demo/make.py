"""Write the demo tape anew from the recordings that README.md names."""

import sys
from pathlib import Path

from sources.demo import TAPE
from sources.recorder import Recording, of_kinds, record
from sources.venues import venue

SOURCE = (
    "github.com/nkaz001/hftbacktest @5f3ec40b2afb764e0fea112f941ed85523ef4e88 "
    "examples/{spot,usdm}/btcusdt_20240808.gz; "
    "github.com/bmoscon/cryptofeed @ce58c2a0015040aa2271e80bac783d74fa2cdcff sample_data/BINANCE{,_FUTURES}.ws.1.0"
)
LICENCE = "hftbacktest: MIT; cryptofeed: XFree86-style; texts in README.md beside this file"


def make(recordings: Path, target: Path = TAPE) -> dict[str, int]:
    """Write the trades of the four recordings below that folder into one tape; return the counts."""
    hftbacktest = recordings / "nkaz001+hftbacktest"
    cryptofeed = recordings / "bmoscon+cryptofeed"
    files = [
        Recording(hftbacktest / "examples__spot__btcusdt_20240808.gz", "spot"),
        Recording(hftbacktest / "examples__usdm__btcusdt_20240808.gz", "usdm"),
        Recording(cryptofeed / "sample_data__BINANCE.ws.1.0", "spot"),
        Recording(cryptofeed / "sample_data__BINANCE_FUTURES.ws.1.0", "usdm"),
    ]
    keep = of_kinds(["trade", "aggTrade"])
    return dict(record(venue("binance"), files, target, keep=keep, source=SOURCE, licence=LICENCE))


if __name__ == "__main__":
    counts = make(Path(sys.argv[1]))
    sys.stdout.write("".join(f"{name}: {count}\n" for name, count in sorted(counts.items())))
