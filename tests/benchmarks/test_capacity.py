"""The arithmetic of docs/capacity.md, by hand."""

from dataclasses import replace

from benchmarks.capacity import Assumed, Measured, markdown, need

MEASURED = Measured(
    streams_cpu_s=6.0,
    warehouse_cpu_s=4.0,
    broker_cpu_s=0.5,
    partition_rate=100_000,
    topic_bytes=100,
    table_bytes=30,
)
ASSUMED = Assumed(busy=0.5, executor_cores=4, shard_cores=4, copies=3, shard_copies=2, readers=3)


def test_a_million_a_second() -> None:
    found = need(1_000_000, 6_000, MEASURED, ASSUMED)
    assert (found.stream_cores, found.executors) == (12, 3)
    # Ten partitions of 100,000 a second half full are twenty; three executors take 21.
    assert (found.partitions, found.instruments_a_partition) == (21, 286)
    assert (found.shards, found.broker_cores) == (2, 3)
    assert found.network_bytes == 1_000_000 * 100 * 6
    assert found.topic_bytes_a_day == 86_400 * 1_000_000 * 100 * 3
    assert found.table_bytes_a_day == 86_400 * 1_000_000 * 30 * 2


def test_there_is_a_partition_for_every_core() -> None:
    fast = replace(MEASURED, partition_rate=1_000_000)
    assert need(1_000_000, 6_000, fast, ASSUMED).partitions == 12


def test_half_the_rate_needs_no_more() -> None:
    half, whole = (vars(need(rate, 6_000, MEASURED, ASSUMED)) for rate in (500_000, 1_000_000))
    assert all(half[name] <= whole[name] for name in half if name != "instruments_a_partition")


def test_every_figure_names_what_it_rests_on() -> None:
    lines = markdown(1_000_000, 6_000, MEASURED, ASSUMED).splitlines()
    assert "| cores for the streams | 12 | 1 M/s x 6.00 CPU-s a million" in lines[2]
    assert len(lines) == 2 + 9
    assert all(line.rstrip(" |").rpartition("| ")[2] for line in lines)
