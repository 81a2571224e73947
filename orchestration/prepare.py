"""What must exist before data flows: topics, schemas, tables. Safe to repeat."""

from collections.abc import Iterable

from contracts.catalog import DATASETS
from contracts.dataset import Dataset, Topic
from contracts.errors import TerminalError
from contracts.imports import IMPORT
from contracts.tape import TAPE, tape_topic
from orchestration.settings import REPOSITORY, Settings
from stores import broker, registry
from stores.migrations import migrate
from stores.warehouse import Warehouse, patiently

MIGRATIONS = REPOSITORY / "sql" / "migrations"


def topics(venues: Iterable[str]) -> list[tuple[Dataset, Topic]]:
    """List every topic with its dataset: one tape a venue and one of imports, one topic a dataset."""
    tapes = [(TAPE, tape_topic(venue)) for venue in (*venues, IMPORT)]
    return tapes + [(d, d.topic) for d in DATASETS if d.topic is not None and d is not TAPE]


def apply_topics(settings: Settings) -> list[broker.Difference]:
    """Create missing topics, register schemas, and return how existing topics differ from their contracts."""
    wanted = topics(settings.venues)
    differences = broker.ensure_topics(settings.broker, [topic for _, topic in wanted])
    for dataset, topic in wanted:
        registry.register(settings.registry, dataset, topic.name)
    return differences


def apply_migrations(settings: Settings) -> list[str]:
    """Bring the warehouse's tables up to date and return what was applied."""
    return migrate(Warehouse(settings.warehouse), MIGRATIONS)


def prepare(settings: Settings) -> None:
    """Make topics, schemas and tables; TerminalError when an existing topic differs from its contract."""
    differences = patiently(lambda: apply_topics(settings), give_up_after_s=60)
    if differences:
        raise TerminalError(
            "existing topics differ from their contracts: "
            + "; ".join(map(str, differences))
            + ". Change them by hand, or the contract; nothing was altered"
        )
    patiently(lambda: apply_migrations(settings), give_up_after_s=60)
