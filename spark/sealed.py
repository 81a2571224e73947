"""Events of days that are sealed: too late to be stored, whatever they say."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contracts.dataset import Dataset
from contracts.imports import CONNECTION_PREFIX, IMPORTED_SPACES
from contracts.retention import retention_of
from stores.seals import SealedSpan

DAY_SEALED = "day_sealed"


def behind_seals(dataset: Dataset, events: pa.Table, sealed: Sequence[SealedSpan]) -> dict[int, str]:
    """Return by row the reason for which it comes too late; rows of open days are left out.

    `events` holds the contract's wire columns, without nulls. What was imported is never too late.
    """
    rule = retention_of(dataset)
    if not sealed or rule is None or events.num_rows == 0:
        return {}
    times = events[rule.clock].cast(pa.int64()).to_numpy()
    if int(times.min()) >= max(end for _, _, end in sealed):
        return {}
    late = np.zeros(len(times), bool)
    venues = events["venue"].to_numpy()
    for venue, start, end in sealed:
        late |= (times >= start) & (times < end) & (venues == venue)
    if late.any():
        late &= ~pc.starts_with(events["connection_id"], CONNECTION_PREFIX).to_numpy()
        for space in IMPORTED_SPACES:
            late &= ~pc.starts_with(events["id_space"], space).to_numpy()
    return dict.fromkeys(np.flatnonzero(late).tolist(), DAY_SEALED)
