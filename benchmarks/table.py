"""Measurements as Markdown."""

from collections.abc import Sequence
from typing import Any

OURS = "tapehouse"
HEAD = ("system", "events", "events a second: median (least to most)", "CPU-s a million", "peak MiB", "answer", "runs")
LATENCY_HEAD = ("system", "p50 ms", "p95 ms", "p99 ms", "most ms", "CPU-s a million", "peak MiB", "answer")


def markdown(entries: Sequence[dict[str, Any]]) -> str:
    """Return a section for each workload: its table, then what is to be said of each system."""
    workloads = dict.fromkeys(str(entry["workload"]) for entry in entries)
    sections = [_section(workload, [e for e in entries if e["workload"] == workload]) for workload in workloads]
    return "\n".join(sections)


def _section(workload: str, entries: Sequence[dict[str, Any]]) -> str:
    lines = [f"### {workload}", ""]
    if any("latency_ms" in entry for entry in entries):
        lines += [_row(LATENCY_HEAD), _row(["---"] + ["---:"] * 6 + ["---"])]
        lines += [_row(_latency_cells(entry)) for entry in entries]
    else:
        lines += [_row(HEAD), _row(["---"] + ["---:"] * 4 + ["---", "---:"])]
        lines += [_row(_cells(entry)) for entry in entries]
    notes = {entry["system"].partition(", ")[0]: entry["note"] for entry in reversed(entries) if entry.get("note")}
    if len({entry["note"] for entry in entries}) > len(notes):
        notes = {entry["system"]: entry["note"] for entry in reversed(entries) if entry.get("note")}
    lines += ["", *(f"- {system}: {note}." for system, note in reversed(notes.items())), ""]
    lines += [line for entry in entries for line in _stages(entry)]
    first = entries[0]
    machine = first["machine"]
    lines += [
        f"{first['measured'][:10]}, {machine['cores']} cores ({machine['cpu']}), {machine['memory_gb']} GB, "
        f"load {machine['load']} at the end{', quick counts' if first['quick'] else ''}.",
        "",
    ]
    return "\n".join(lines)


def _cells(entry: dict[str, Any]) -> list[str]:
    if "events_per_s" not in entry:
        return [entry["system"], "", f"not measured: {entry.get('absent', '')}", "", "", "", "0"]
    rate = entry["events_per_s"]
    answer = entry["answer"] if entry["exact_decimals"] else f"{entry['answer']}; no exact decimals"
    if entry.get("absent"):
        answer += f"; ended early: {entry['absent']}"
    return [
        entry["system"],
        f"{entry['events']:,}",
        f"{rate['median']:,} ({rate['min']:,} to {rate['max']:,})",
        f"{entry['cpu_s_per_million']:.1f}",
        f"{entry['peak_mb']:,}",
        answer,
        str(entry["runs"]),
    ]


def _latency_cells(entry: dict[str, Any]) -> list[str]:
    told = entry.get("latency_ms")
    if told is None:
        return [entry["system"], "", "", "", "", "", "", f"not measured: {entry.get('absent') or entry.get('answer')}"]
    milliseconds = [f"{told[name]:,.1f}" for name in ("p50", "p95", "p99", "max")]
    return [
        entry["system"],
        *milliseconds,
        f"{entry['cpu_s_per_million']:.0f}",
        f"{entry['peak_mb']:,}",
        entry["answer"],
    ]


def _stages(entry: dict[str, Any]) -> list[str]:
    """Tell what share of the CPU each stage takes, as far as it was measured."""
    details = entry.get("details", {})
    costs: dict[str, float] = dict(details.get("stages", {}))
    if not costs or "cpu_s_per_million" not in entry:
        return []
    whole = entry["cpu_s_per_million"]
    costs["the rest"] = max(whole - sum(costs.values()), 0.0)
    told = ", ".join(f"{name} {cost:.1f} ({cost / whole:.0%})" for name, cost in costs.items() if whole)
    lines = [f"- Stages of {entry['system']}, CPU seconds a million: {told}.", ""]
    # As the streams tell of their batches: tasks run beside each other, so that only shares of the sum say something.
    waits = {name: spent for name, spent in details.get("progress", {}).get("seconds", {}).items() if name != "batch"}
    if whole_time := sum(waits.values()):
        told = ", ".join(f"{name} {spent / whole_time:.0%}" for name, spent in waits.items())
        lines.insert(1, f"- Where its tasks and what follows them spend their time: {told}.")
    return lines


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
