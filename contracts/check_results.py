"""Check results: what each claim about a venue's day came to, every time that it was put to the stored data."""

from contracts.dataset import Clock, Column, Dataset, NotEmpty, NotNegative, OneOf, Type

LEVELS = ("stop", "warn")

CHECK_RESULTS = Dataset(
    name="system.check_results",
    doc="Every outcome of every check, by venue and day; view system_check_results_current shows the last of each.",
    columns=(
        Column(
            "day_time", Type.TIMESTAMP, "Start of the day of event time that was checked.", unit="microseconds, UTC"
        ),
        Column("venue", Type.STRING, "The venue whose rows were checked.", repeats=True),
        Column("dataset", Type.STRING, "The dataset that the claim is about.", repeats=True),
        Column("check_name", Type.STRING, "What is claimed, in a few words.", repeats=True),
        Column(
            "level",
            Type.STRING,
            "stop: what is made from the dataset must not follow when the claim is false; warn: it may.",
            symbols=LEVELS,
            repeats=True,
        ),
        Column("passed", Type.INT32, "1 when no row spoke against the claim, else 0."),
        Column("checked_count", Type.INT64, "How many rows were looked at; 0: the claim passed for lack of any."),
        Column("unexpected_count", Type.INT64, "How many of them spoke against it."),
        Column("sample", Type.STRING, "Keys and values of the first of them, as a JSON list."),
        Column("detail", Type.STRING, "The claim in a sentence, and what was found."),
        Column(
            "run_id", Type.STRING, "The run that checked: Dagster's id, or one of its own for a command.", repeats=True
        ),
        Column(
            "known_time",
            Type.TIMESTAMP,
            "When the outcome became known.",
            unit="microseconds, UTC",
            clock=Clock.INGESTED,
        ),
    ),
    grain=("day_time", "venue", "dataset", "check_name", "known_time"),
    rules=(
        NotEmpty("check_name_missing", "check_name", 128),
        OneOf("level_unknown", "level", LEVELS),
        NotNegative("checked_count_negative", "checked_count"),
        NotNegative("unexpected_count_negative", "unexpected_count"),
    ),
)
