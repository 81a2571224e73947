"""Incidents: what is wrong, since when, what it touches, and what to do; and who was told of it."""

from contracts.columns import INSTRUMENT, VENUE
from contracts.dataset import Clock, Column, Dataset, NotEmpty, NotNegative, OneOf, Type

# check: a claim about the data is false. stale: a series fell silent. gap: something is missing. stream: a process is
# dead or falls behind. score: a quality score is too low. audit: rows are missing or there twice. run: a run failed.
KINDS = ("check", "stale", "gap", "stream", "score", "audit", "run")
STATES = ("open", "closed")
SEVERITIES = ("error", "warn")

EVENTS = ("opened", "closed")
ALERT_STATES = ("sent", "pending")

_KNOWN_TIME = Column(
    "known_time", Type.TIMESTAMP, "When this became known.", unit="microseconds, UTC", clock=Clock.INGESTED
)

INCIDENTS = Dataset(
    name="system.incidents",
    doc="Every incident, each change of what is known of it a revision; the view system_incidents_current shows the "
    "last. A subject has at most one open incident.",
    columns=(
        Column("incident_id", Type.STRING, "The incident's own id."),
        Column("revision", Type.INT64, "Counts what was known of this incident, from 1."),
        Column("subject", Type.STRING, "What it is about, the same each time that it happens again."),
        Column("kind", Type.STRING, "What sort of trouble it is.", symbols=KINDS, repeats=True),
        Column("dataset", Type.STRING, "The dataset that it concerns, or empty.", repeats=True),
        VENUE,
        INSTRUMENT,
        Column("state", Type.STRING, "How it stands.", symbols=STATES, repeats=True),
        Column(
            "severity",
            Type.STRING,
            "error: the data cannot be relied on; warn: it can, but somebody should look.",
            symbols=SEVERITIES,
            repeats=True,
        ),
        Column("opened_time", Type.TIMESTAMP, "When it was noticed.", unit="microseconds, UTC"),
        Column(
            "closed_time", Type.TIMESTAMP, "When its evidence was gone; the epoch while open.", unit="microseconds, UTC"
        ),
        Column("title", Type.STRING, "What is wrong, in a few words."),
        Column("evidence", Type.STRING, "What shows it, as a JSON object."),
        Column("upstream", Type.STRING, "The assets that it may come from, separated by commas."),
        Column("downstream", Type.STRING, "The assets that it may touch, separated by commas."),
        Column("affected_rows", Type.INT64, "How many rows are known to be wrong or missing; 0 where none is known."),
        Column("next_step", Type.STRING, "What to do about it, in a sentence."),
        _KNOWN_TIME,
    ),
    grain=("incident_id", "revision"),
    rules=(
        NotEmpty("subject_missing", "subject", 512),
        OneOf("kind_unknown", "kind", KINDS),
        OneOf("state_unknown", "state", STATES),
        OneOf("severity_unknown", "severity", SEVERITIES),
        NotNegative("affected_rows_negative", "affected_rows"),
    ),
)

ALERTS = Dataset(
    name="system.alerts",
    doc="Every try to tell a receiver that an incident opened or closed; the view system_alerts_current shows the last "
    "of each.",
    columns=(
        Column("incident_id", Type.STRING, "The incident that it tells of."),
        Column("event", Type.STRING, "What it tells.", symbols=EVENTS, repeats=True),
        Column("receiver", Type.STRING, "Who is told: the kind of receiver and a hash of its address.", repeats=True),
        Column("attempt", Type.INT64, "Counts the tries, from 1."),
        Column("state", Type.STRING, "sent, or pending: it will be tried again.", symbols=ALERT_STATES, repeats=True),
        Column("message_id", Type.STRING, "The message that it went with; a message may tell of several incidents."),
        Column("detail", Type.STRING, "Why it could not be sent, or empty."),
        _KNOWN_TIME,
    ),
    grain=("incident_id", "event", "receiver", "attempt"),
    rules=(OneOf("event_unknown", "event", EVENTS), OneOf("state_unknown", "state", ALERT_STATES)),
)
