"""A full disk passes: somebody makes room, and whoever wrote asks again meanwhile instead of ending."""

from typing import Any

import pyarrow as pa
import pytest

from contracts.errors import RetryableError
from stores.warehouse import Warehouse, patiently

NO_ROOM = "min_free_disk_bytes_to_perform_insert = 1000000000000000000"


def test_an_insert_that_found_no_room_is_tried_again_and_stored_once(platform: Any) -> None:
    warehouse = Warehouse(platform.warehouse)
    warehouse.run("DROP TABLE IF EXISTS full_disk")
    warehouse.run(
        "CREATE TABLE full_disk (id Int64) ENGINE = MergeTree ORDER BY id "
        f"SETTINGS non_replicated_deduplication_window = 100, {NO_ROOM}"
    )
    rows, refused = pa.table({"id": [1, 2, 3]}), 0

    def insert() -> None:
        nonlocal refused
        try:
            warehouse.insert("full_disk", rows, token="once")
        except RetryableError as error:
            assert "enough free space" in str(error)
            refused += 1
            if refused == 2:
                warehouse.run("ALTER TABLE full_disk RESET SETTING min_free_disk_bytes_to_perform_insert")
            raise

    try:
        with pytest.raises(RetryableError):
            insert()
        patiently(insert, give_up_after_s=30)
        assert refused == 2
        assert warehouse.rows("SELECT id FROM full_disk ORDER BY id") == [(1,), (2,), (3,)]
    finally:
        warehouse.run("DROP TABLE full_disk")
