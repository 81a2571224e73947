"""The schema registry: each contract's Avro form under its topic's subject, BACKWARD compatible."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from contracts.avro import avro_text
from contracts.dataset import Dataset
from contracts.errors import RetryableError, TerminalError
from stores.settings import RegistrySettings

TIMEOUT_S = 10
COMPATIBILITY = "BACKWARD"
T = TypeVar("T")


def make_client(settings: RegistrySettings) -> SchemaRegistryClient:
    """Open a client of the registry's Confluent API."""
    config: dict[str, object] = {"url": settings.url, "timeout": TIMEOUT_S}
    if settings.auth:
        config["basic.auth.user.info"] = settings.auth
    return SchemaRegistryClient(config)


def subject(topic: str) -> str:
    """Name the subject of a topic's values."""
    return f"{topic}-value"


def _ask(what: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except SchemaRegistryError as error:
        kind = RetryableError if error.http_status_code >= 500 else TerminalError
        raise kind(f"the schema registry refused to {what}: {error.error_message}") from error
    except (httpx2.HTTPError, OSError) as error:
        raise RetryableError(f"the schema registry did not answer, asked to {what}: {error}") from error


def register(settings: RegistrySettings, dataset: Dataset, topic: str) -> int:
    """Register the dataset's schema for the topic and return its id.

    Raises TerminalError when the schema is not BACKWARD compatible with the latest one, before anything is sent.
    """
    client = make_client(settings)
    name, schema = subject(topic), Schema(avro_text(dataset), "AVRO")

    def first_time() -> bool:
        return name not in client.get_subjects()

    if _ask(f"list subjects for {name}", first_time):
        schema_id = _ask(f"register {name}", lambda: client.register_schema(name, schema))
        _ask(f"set compatibility of {name}", lambda: client.set_compatibility(name, COMPATIBILITY))
        return schema_id
    if not _ask(f"test {name}", lambda: client.test_compatibility(name, schema)):
        raise TerminalError(
            f"the schema of {dataset.name} breaks {COMPATIBILITY} compatibility with the latest version of {name}: "
            f"give new columns a default, or raise the contract's version for a new name"
        )
    return _ask(f"register {name}", lambda: client.register_schema(name, schema))


def schema_by_id(settings: RegistrySettings, schema_id: int) -> str:
    """Return the schema text of that id; TerminalError when the registry has none."""
    client = make_client(settings)
    text = _ask(f"return schema {schema_id}", lambda: client.get_schema(schema_id)).schema_str
    assert text is not None
    return text


def schemas_of(settings: RegistrySettings, topic: str) -> dict[int, str]:
    """Return every version of a topic's schema by id."""
    client, name = make_client(settings), subject(topic)
    found: dict[int, str] = {}
    for version in _ask(f"list versions of {name}", lambda: client.get_versions(name)):
        registered = _ask(f"return {name} {version}", partial(client.get_version, name, version))
        assert registered.schema_id is not None
        assert registered.schema.schema_str is not None
        found[registered.schema_id] = registered.schema.schema_str
    return found


def latest_version(settings: RegistrySettings, topic: str) -> int | None:
    """Return the newest version of a topic's schema, None when there is none."""
    client, name = make_client(settings), subject(topic)
    if name not in _ask("list subjects", client.get_subjects):
        return None
    return max(_ask(f"list versions of {name}", lambda: client.get_versions(name)))
