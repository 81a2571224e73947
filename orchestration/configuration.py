"""Which settings hold, where each comes from, and what is wrong with those that do not hold."""

import difflib
import json
import re
import tomllib
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsError

from contracts.errors import TerminalError
from orchestration.settings import FILE_VARIABLE, PREFIX, REPOSITORY, USUAL_FILE, Settings, settings_file, variables

Origin = Literal["default", "file", "environment"]

# Not settings, but read from the environment: where the file is, whether errors show tracebacks, whose process it is.
SWITCHES = (FILE_VARIABLE, f"{PREFIX}DEBUG", f"{PREFIX}STACK")
MASK = "********"
SHOWN = 80

_FIELDS: Mapping[str, FieldInfo] = Settings.model_fields
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
_BOUNDS = (("ge", "from {}"), ("gt", "above {}"), ("le", "to {}"), ("lt", "below {}"))


@dataclass(frozen=True)
class Effective:
    """One setting as it holds. `value` is as JSON writes it, masked when secret; `source` is a variable or a file."""

    name: str
    value: object
    origin: Origin
    source: str
    description: str
    valid: str
    secret: bool


def read_settings() -> Settings:
    """Read the settings of this process, or raise one line that names each wrong one and what would be valid."""
    file = settings_file()
    told = _read_file(file)
    wrong = [*_unknown_variables(), *_unknown_keys(file, told)]
    settings = None
    try:
        settings = Settings()
    except ValidationError as error:
        wrong += [
            _wrong_value(str(one["loc"][0]), one["input"], file, one["msg"])
            for one in error.errors()
            if one["type"] != "extra_forbidden"
        ]
    except SettingsError:
        # Only a variable that should hold JSON, and does not, leads here.
        wrong += [_wrong_value(name, value, file, "it is no JSON") for name, value in _unreadable()]
    if wrong or settings is None:
        raise TerminalError(f"wrong settings: {'; '.join(wrong)}. tapehouse config --example shows all of them")
    _refuse_unknown_venues(settings, file)
    return settings


def effective(settings: Settings) -> list[Effective]:
    """Return every setting with its value, its origin and what it is for."""
    values = settings.model_dump(mode="json")
    file = settings_file()
    in_file = _read_file(file)
    return [
        Effective(
            name,
            MASK if is_secret(field) and values[name] else values[name],
            *_origin(name, file, in_file),
            field.description or "",
            valid(field),
            is_secret(field),
        )
        for name, field in _FIELDS.items()
    ]


def example() -> str:
    """Return a settings file that names every setting with its default, all of them commented out."""
    lines = [
        "# Settings of Tapehouse. Every line is a default: take away its # to change it.",
        f"# The file is looked for in the checkout, or where {FILE_VARIABLE} says; an environment variable",
        f"# {PREFIX}NAME (capitals, lists and tables as JSON) goes before it. tapehouse config shows what holds.",
        "# A relative path counts from the folder of this file.",
    ]
    for name, field in _FIELDS.items():
        secret = ", secret" if is_secret(field) else ""
        lines += ["", f"# {field.description} ({valid(field)}{secret})", f"# {name} = {_toml(default(field))}"]
    return "\n".join(lines) + "\n"


def variable_of(name: str) -> str:
    """Name the environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def is_secret(field: FieldInfo) -> bool:
    """Tell whether a setting's value must not be shown: what has no repr is one."""
    return not field.repr


def default(field: FieldInfo) -> object:
    """Return a setting's default as JSON has it; paths below the checkout as they are written there."""
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Path):
        return str(value.relative_to(REPOSITORY) if value.is_relative_to(REPOSITORY) else value)
    return list(value) if isinstance(value, tuple) else value


def valid(field: FieldInfo) -> str:
    """Say which values a setting takes."""
    kind: Any = field.annotation
    options = get_args(kind)
    origin = get_origin(kind)
    if origin is Literal:
        return ", ".join(map(str, options))
    if origin is tuple and get_origin(options[0]) is dict:
        return "a list of tables"
    if origin in (tuple, list, set, frozenset):
        return 'a list, such as ["one", "two"]'
    if origin is dict:
        return "a table of names and values"
    if origin == types.UnionType:
        return " or ".join(_KINDS.get(one, one.__name__) for one in options if one is not types.NoneType)
    bounds = [
        text.format(f"{getattr(rule, name):,}")
        for name, text in _BOUNDS
        for rule in field.metadata
        if getattr(rule, name, None) is not None
    ]
    patterns = [f"matching {rule.pattern}" for rule in field.metadata if getattr(rule, "pattern", None)]
    return " ".join([_KINDS.get(kind, str(kind)), *bounds, *patterns])


def _read_file(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text())
    except FileNotFoundError as error:
        raise TerminalError(
            f"{FILE_VARIABLE}={file}: there is no such file; name another, or leave the variable out "
            f"({USUAL_FILE.name} in the checkout is read then, if it is there)"
        ) from error
    except (OSError, ValueError) as error:
        raise TerminalError(f"the settings file {file} can't be read: {error}; it has to be TOML") from error


def _origin(name: str, file: Path | None, in_file: Mapping[str, Any]) -> tuple[Origin, str]:
    if variable_of(name) in variables():
        return "environment", variable_of(name)
    if name in in_file:
        return "file", str(file)
    return "default", ""


def _unknown_variables() -> Iterator[str]:
    known = set(map(variable_of, _FIELDS))
    for name in sorted(variables()):
        if name not in known and name not in SWITCHES:
            near = _nearest(name.removeprefix(PREFIX).lower(), variable_of)
            yield f"the environment's {name} is no setting; {near}"


def _unknown_keys(file: Path | None, in_file: Mapping[str, Any]) -> Iterator[str]:
    for key in in_file:
        if key not in _FIELDS:
            yield f"{key} in {file} is no setting; {_nearest(key, str)}"


def _nearest(name: str, written: Callable[[str], str]) -> str:
    """Name the settings that may have been meant, else all; `written` puts a name as its reader has to write it."""
    near = difflib.get_close_matches(name, _FIELDS, n=3, cutoff=0.7)
    if near:
        return f"did you mean {' or '.join(map(written, near))}?"
    return f"valid: {', '.join(map(written, _FIELDS))}"


def _wrong_value(name: str, value: object, file: Path | None, why: str) -> str:
    field = _FIELDS[name]
    variable = variable_of(name)
    where = f"{variable}=" if variable in variables() else f"{name} in {file}: " if file else f"{name}: "
    shown = MASK if is_secret(field) else repr(value)[:SHOWN]
    reason = why[:1].lower() + why[1:]
    return f"{where}{shown}: {reason}; valid: {valid(field)}"


def _unreadable() -> Iterator[tuple[str, str]]:
    for name, field in _FIELDS.items():
        value = variables().get(variable_of(name))
        if value is None or get_origin(field.annotation) not in (tuple, list, set, frozenset, dict):
            continue
        try:
            json.loads(value)
        except ValueError:
            yield name, value


def _refuse_unknown_venues(settings: Settings, file: Path | None) -> None:
    from sources.venues import venue

    for name in settings.venues:
        try:
            venue(name)
        except TerminalError as error:
            raise TerminalError(
                f"wrong settings: {_wrong_value('venues', list(settings.venues), file, str(error))}"
            ) from error


def _toml(value: object) -> str:
    """Write a default as TOML; JSON's text, numbers and booleans are TOML's too."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{_key(key)} = {_toml(one)}" for key, one in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, default=str)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)
