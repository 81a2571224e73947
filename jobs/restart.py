"""The job that restarts a collector or the streams from the UI."""

from enum import Enum

import dagster as dg

from assets.failures import failing_by_type
from assets.processes import Processes
from assets.streams import ALERT_PROCESS, STREAM_PROCESS, collector_process
from jobs import names
from sources.venues import VENUES

# What may be restarted from here: COLLECTOR_<VENUE>, STREAMS and ALERT_STREAM.
Restartable = Enum(  # type: ignore[misc]
    "Restartable",
    {"STREAMS": STREAM_PROCESS, "ALERT_STREAM": ALERT_PROCESS}
    | {f"COLLECTOR_{venue.upper()}": collector_process(venue) for venue in sorted(VENUES)},
)


class RestartConfig(dg.Config):
    """Which process to restart."""

    process: Restartable = Restartable.STREAMS  # type: ignore[attr-defined]


@dg.op(description="Stops the process in good order, starts it, and waits until it is healthy.")
def restart(context: dg.OpExecutionContext, config: RestartConfig, processes: dg.ResourceParam[Processes]) -> None:
    """Restart the configured process."""
    name = str(config.process.value)
    # Half a restart tried again could stop what has just come up; a person looks first.
    with failing_by_type(retries=0):
        processes.restart(name)
        view = processes.view({name})[name]
    context.log.info(f"{name} is {view.state}")
    context.add_output_metadata({"process": name, "state": view.state, "restarts": view.restarts})


@dg.job(
    name=names.RESTART,
    description="Restarts the streams or a collector of the platform on this machine. They go on where the ledger "
    "and the tape end: nothing is lost, nothing is stored twice.",
)
def restart_process() -> None:
    """Restart one process."""
    restart()
