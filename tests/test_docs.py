"""The documentation: links lead somewhere, TOML is a configuration, commands exist, schemas are of what is written."""

import importlib
import importlib.util
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from pipeline.cli import driftline
from pipeline.cli.reloading import LIVE
from pipeline.codec.anomalies import encode_anomaly
from pipeline.codec.decoding import make_decoder
from pipeline.codec.formats import MessageFormat
from pipeline.codec.verdicts import encode_verdicts
from pipeline.config import load_config
from pipeline.records import Batch, Place
from tests.fakes import make_engine

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _prose(page: Path) -> str:
    """A page without its blocks of code."""
    text = _FENCE.sub("", page.read_text())
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


def _anchors(page: Path) -> set[str]:
    """Of the headings of a page, as GitHub makes them."""
    found: set[str] = set()
    for line in _prose(page).splitlines():
        if heading := re.match(r"#+ (.*)", line):
            text = re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")
            found.add(text if text not in found else f"{text}-1")
    return found


@pytest.mark.parametrize("page", PAGES, ids=_NAMES)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Links to files and headings of this repository exist."""
    broken = []
    for link in _LINK.findall(_prose(page)):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def _toml_blocks() -> Iterator[Any]:
    for page, name in zip(PAGES, _NAMES, strict=True):
        for number, (kind, content) in enumerate(_FENCE.findall(page.read_text())):
            if kind == "toml":
                yield pytest.param(content, id=f"{name}-{number}")


@pytest.mark.parametrize("content", [*_toml_blocks()])
def test_every_block_of_toml_is_a_configuration(content: str, tmp_path: Path) -> None:
    """What is shown can be used as it stands."""
    file = tmp_path / "driftline.toml"
    file.write_text(content)
    assert tomllib.loads(content)
    load_config(file, environ={})


def _command_lines() -> Iterator[Any]:
    for page, name in zip(PAGES, _NAMES, strict=True):
        joined = page.read_text().replace("\\\n", " ")
        found = re.findall(r"^ {4}(?:\.venv/bin/)?driftline ([a-z].*)$", joined, re.MULTILINE)
        found += re.findall(r"`driftline ([a-z][^`]*)`", " ".join(joined.split()))
        for line in sorted({one.partition(" > ")[0] for one in found}):
            yield pytest.param(line, id=f"{name}: {line}")


@pytest.mark.parametrize("line", [*_command_lines()])
def test_every_command_shown_exists(line: str) -> None:
    """So do the options that are given to it."""
    name, *arguments = shlex.split(line, comments=True)
    command: click.Command | None = driftline.get_command(click.Context(driftline), name)
    while isinstance(command, click.Group) and arguments:
        command = command.get_command(click.Context(command), arguments.pop(0))
    assert command is not None
    parameters = command.get_params(click.Context(command))
    known = {option for one in parameters for option in (*one.opts, *one.secondary_opts)}
    given = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
    assert given <= known


def test_every_environment_variable_shown_is_a_key() -> None:
    """Variables of the configuration that pages name are understood."""
    for page in PAGES:
        for name in set(re.findall(r"DRIFTLINE_[A-Z]+__[A-Z_]+", page.read_text())):
            section, _, key = name.removeprefix("DRIFTLINE_").lower().partition("__")
            table = getattr(load_config(environ={}).config, section)
            assert key in type(table).model_fields, name


def test_every_key_shown_exists() -> None:
    """`section.key` names a key, wherever the section is one of the configuration."""
    config = load_config(environ={}).config
    sections = {name: set(type(getattr(config, name)).model_fields) for name in type(config).model_fields}
    unknown = [
        (name, found)
        for page, name in zip(PAGES, _NAMES, strict=True)
        for section, found in re.findall(r"`([a-z]+)\.([a-z_]+)`", _prose(page))
        if section in sections and found not in sections[section]
    ]
    assert [one for one in unknown if one[1] not in {"py", "toml", "json", "html", "yaml"}] == []


def test_every_test_and_file_named_exists() -> None:
    """Tests and files of this repository that pages name in code are there."""
    tests = {
        name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    for page in PAGES:
        text = _prose(page)
        assert set(re.findall(r"`(test_\w+)`", text)) <= tests, page
        for file in re.findall(r"`((?:pipeline|tests|detectors|docs|deploy|scripts)/[\w./-]+)`", text):
            assert (ROOT / file).exists(), f"{page}: {file}"


def test_the_service_page_tells_what_can_be_reloaded() -> None:
    """The keys that it lists are those that take effect while the service runs."""
    page = (ROOT / "docs" / "service.md").read_text()
    told = page.partition("### Reload")[2].partition("Others that have changed")[0]
    assert set(re.findall(r"`([a-z]+\.[a-z_]+)`", told)) == LIVE


def test_the_formats_page_tells_every_reason() -> None:
    """The table of dead letters has the reasons that the decoders give, and `missing`, which the engine gives."""
    page = (ROOT / "docs" / "formats.md").read_text()
    told = set(re.findall(r"^\| `([a-z_]+)` \| (?:the message|a record)", page, re.MULTILINE))
    source = "".join(path.read_text() for path in sorted((ROOT / "pipeline" / "codec").glob("*.py")))
    given = set(re.findall(r'Unusable\(\s*"([a-z_]+)"', source)) | {"not_a_number", "missing"}
    assert '"not_a_number"' in source
    assert told == given


@pytest.mark.parametrize("kind", ["json", "json-array", "json-lines"])
def test_the_messages_shown_are_of_their_formats(kind: Any) -> None:
    """An example of a message is decoded with the configuration shown with it, without any problem."""
    page = (ROOT / "docs" / "formats.md").read_text()
    table = tomllib.loads(next(content for name, content in _FENCE.findall(page) if name == "toml"))["source"]
    layout = MessageFormat(kind, tuple(table["value_fields"]), table["time_field"], table["key_field"])
    block = re.search(rf"of (?:format )?`{kind}`[^\n]*:\n\n((?: {{4}}.*\n)+)", page)
    assert block is not None
    message: Any = type("M", (), {"offset": 0, "timestamp": -1, "key": None, "value": block[1].encode()})()
    batch = make_decoder(layout).decode([message])
    assert batch.problems == ()
    assert batch.key_names == ["press-7"]
    assert batch.values[0].tolist() == [71.4, 3.2]
    assert len(batch) == (1 if kind == "json" else 2)


def _written() -> tuple[list[Any], list[Any]]:
    """(anomalies, verdicts) that an engine gives of a stream with faults, gaps, silence and unusable records."""
    rng = np.random.default_rng(7)
    engine = make_engine()
    anomalies, verdicts = [], []
    count, width = 3000, len(engine.fields)
    keys = (np.arange(count) % 3).astype(np.int32)
    keys[2000:2400] = keys[2000:2400] % 2  # the third falls silent
    values = rng.normal(size=(count, width)) * 0.1 + np.sin(np.arange(count) / 20)[:, None]
    values[900:930] += np.geomspace(0.5, 500, 30)[:, None]
    values[1500::7, 0] = np.nan
    values[1501::70] = np.nan
    values[1600::90, 0] = np.inf
    times = 1_700_000_000_000_000 + np.arange(count) * 60_000_000
    times[1000:1010] -= 10**12
    for at in range(0, count, 500):
        part = slice(at, at + 500)
        outcome = engine.process(
            Batch(["a", "b", "c"], keys[part], times[part], values[part], np.arange(at, at + 500) + 1)
        )
        anomalies += [json.loads(encode_anomaly(one)) for one in outcome.anomalies]
        verdicts += [
            json.loads(line)
            for table in outcome.verdicts
            for _, content in encode_verdicts(table, Place("metrics", 0), 1)
            for line in content.splitlines()
        ]
    return anomalies, verdicts


_TYPES: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int,
    "number": (int, float),
}  # fmt: skip


def _is_of(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _properties(value: Any, schema: dict[str, Any]) -> Iterator[str]:
    known, others = schema["properties"], schema["additionalProperties"]
    for name, item in value.items():
        for told in _violations(item, known[name]) if name in known else () if others else ["is not allowed"]:
            yield f"{name}: {told}"


_WORDS: dict[str, Callable[[Any, dict[str, Any]], Iterable[str]]] = {
    "type": lambda value, schema: [] if _is_of(value, schema["type"]) else [f"{value!r} is no {schema['type']}"],
    "const": lambda value, schema: [] if value == schema["const"] else [f"{value!r} is not {schema['const']!r}"],
    "enum": lambda value, schema: [] if value in schema["enum"] else [f"{value!r} is none of {schema['enum']}"],
    "required": lambda value, schema: [f"{name} is missing" for name in schema["required"] if name not in value],
    "anyOf": lambda value, schema: (
        [] if any(not _violations(value, one) for one in schema["anyOf"]) else [f"{value!r} is none of them"]
    ),
    "items": lambda value, schema: [told for one in value for told in _violations(one, schema["items"])],
    "properties": _properties,
    "additionalProperties": lambda value, schema: (
        []
        if "properties" in schema
        else [told for one in value.values() for told in _violations(one, schema["additionalProperties"])]
    ),
    "$schema": lambda _value, _schema: [],
    "title": lambda _value, _schema: [],
    "description": lambda _value, _schema: [],
    "$defs": lambda _value, _schema: [],
}
"""The words of JSON Schema that ours use; with any other the test fails, rather than pass what it does not know."""


def _violations(value: Any, schema: dict[str, Any]) -> list[str]:
    """What of a value a schema forbids; its references are resolved, see `_schema`."""
    return [told for word in schema for told in _WORDS[word](value, schema)]


def _schema(name: str) -> dict[str, Any]:
    """A published schema, with its definitions in the places that refer to them."""
    schema = json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text())

    def resolve(part: Any) -> Any:
        if isinstance(part, list):
            return [resolve(one) for one in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return resolve(schema["$defs"][part["$ref"].removeprefix("#/$defs/")])
        return {key: resolve(one) for key, one in part.items()}

    resolved: dict[str, Any] = resolve(schema)
    return resolved


def test_what_is_written_is_as_the_schemas_say() -> None:
    """Every anomaly and verdict of a troubled stream is valid, and a spoiled one is not."""
    anomalies, verdicts = _written()
    assert {one["event"] for one in anomalies} == {"opened", "worsened", "closed"}
    assert {one["disposition"] for one in verdicts} >= {"scored", "warming", "late", "missing", "dead_lettered"}
    for name, written in (("anomaly-1", anomalies), ("verdict-1", verdicts)):
        schema = _schema(name)
        assert [told for one in written for told in _violations(one, schema)] == []
        assert _violations(written[0] | {"more": 1}, schema)
        assert _violations(written[0] | {"schema": 2}, schema)
        assert _violations(written[0] | {"key": 5}, schema)
        assert _violations({}, schema)
        if importlib.util.find_spec("jsonschema") is not None:  # not locked; where it is there, it has its say too
            validate = importlib.import_module("jsonschema").validate
            for one in written:
                validate(one, schema)
    spoken = next(one for one in anomalies if one["streams"])
    assert _violations(spoken | {"streams": [spoken["streams"][0] | {"side": "left"}]}, _schema("anomaly-1"))
