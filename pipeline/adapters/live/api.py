"""The endpoints of the API: what each takes, gives and is for. `openapi` and `web` are made from this table."""

import inspect
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, cast

import msgspec

from pipeline.adapters.live.model import (
    AnomalyDetail,
    AnomalyList,
    KeyHistory,
    KeyList,
    Overview,
    Refusal,
)
from pipeline.adapters.live.networks import ModelHistory
from pipeline.adapters.live.source import MOST_ANOMALIES, MOST_POINTS, LiveSource, ModelSource, Wanted

T = TypeVar("T")
BASE = "/api/v1"
_FRESH_S = 0.25
_Name = Annotated[str, msgspec.Meta(max_length=1000)]
_Needed = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
_Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]
"""It holds the names of a topic, of a key and of a field."""


class NoParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """None."""


class AnomaliesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which events."""

    key: Annotated[_Name, msgspec.Meta(description="Of this key alone.")] = ""
    field: Annotated[_Name, msgspec.Meta(description="Of this field alone; '*' for all fields together.")] = ""
    severity: Annotated[
        Literal["none", "low", "medium", "high", "critical"], msgspec.Meta(description="At least this severe.")
    ] = "none"
    event: Annotated[
        Literal["", "opened", "worsened", "closed"], msgspec.Meta(description="Events of this kind alone.")
    ] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_ANOMALIES, description="Most events.")] = 50


class AnomalyQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which event."""

    id: Annotated[_Identifier, msgspec.Meta(description="Id of the event.")]


class KeysQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which keys."""

    query: Annotated[
        _Name, msgspec.Meta(description="Text that the keys hold, whatever the case; empty for those heard of last.")
    ] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=500, description="Most keys.")] = 50


class HistoryQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which lane."""

    key: Annotated[_Needed, msgspec.Meta(description="The key.")]
    field: Annotated[_Name, msgspec.Meta(description="Its field; empty for the first.")] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_POINTS, description="Most points.")] = 500


class NotFoundError(Exception):
    """There is nothing of that name."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What can be asked.

    Attributes:
        path: below `BASE`.
        summary: what it gives.
        takes: its query parameters, as the fields of a class.
        gives: the answer.
        give: makes it; raises `NotFoundError`.
        misses: whether it may raise that.
    """

    path: str
    summary: str
    takes: type[msgspec.Struct]
    gives: type[msgspec.Struct]
    give: Callable[[Any], msgspec.Struct]
    misses: bool = False


def endpoints(source: LiveSource, models: ModelSource) -> list[Endpoint]:
    """All endpoints, over what they ask."""
    overview = _Fresh(source.overview)

    def anomalies(query: AnomaliesQuery) -> AnomalyList:
        return source.anomalies(Wanted(query.key, query.field, query.severity, query.event, query.limit))

    def anomaly(query: AnomalyQuery) -> AnomalyDetail:
        found = source.anomaly(query.id)
        if found is None:
            raise NotFoundError(f"found no event of this id among the newest {MOST_ANOMALIES:,}")
        return found

    def history(query: HistoryQuery) -> KeyHistory:
        return source.history(query.key, query.field, query.limit)

    def keys(query: KeysQuery) -> KeyList:
        return source.keys(query.query, query.limit)

    return [
        Endpoint("/overview", "How the service is now.", NoParameters, Overview, lambda _: overview()),
        Endpoint("/anomalies", "The newest events of episodes.", AnomaliesQuery, AnomalyList, anomalies),
        Endpoint("/anomaly", "One event, with its reason in full.", AnomalyQuery, AnomalyDetail, anomaly, misses=True),
        Endpoint("/keys", "Keys in memory, by a text.", KeysQuery, KeyList, keys),
        Endpoint("/history", "Recent points of a lane of a key.", HistoryQuery, KeyHistory, history),
        Endpoint(
            "/models", "The bundle in service, and what happened to bundles.", NoParameters, ModelHistory,
            lambda _: models.history(overview().bundle),
        ),
    ]  # fmt: skip


class _Fresh:
    """An overview made anew a few times a second at most, however many look."""

    def __init__(self, make: Callable[[], Overview]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: tuple[float, Overview] | None = None

    def __call__(self) -> Overview:
        with self._lock:
            now = time.monotonic()
            if self._made is None or now - self._made[0] > _FRESH_S:
                self._made = now, self._make()
            return self._made[1]


def openapi(table: Sequence[Endpoint]) -> dict[str, Any]:
    """The description of the API, OpenAPI 3.1."""
    answers = [endpoint.gives for endpoint in table]
    schemas, components = msgspec.json.schema_components(
        [*answers, Refusal], ref_template="#/components/schemas/{name}"
    )
    for component in components.values():
        component["description"] = inspect.cleandoc(component["description"])  # else indented as in the source
    *given, refusal = schemas

    def refused(why: str) -> dict[str, Any]:
        return {"description": why, "content": {"application/json": {"schema": refusal}}}

    paths: dict[str, Any] = {}
    for endpoint, schema in zip(table, given, strict=True):
        told: dict[str, Any] = {
            "200": {"description": "As asked for.", "content": {"application/json": {"schema": schema}}},
            "400": refused("A parameter is not as described, given twice, or there is none of its name."),
        }
        if endpoint.misses:
            told["404"] = refused("There is nothing of that name.")
        paths[f"{BASE}{endpoint.path}"] = {
            "get": {
                "operationId": endpoint.path.strip("/"),
                "summary": endpoint.summary,
                "parameters": _parameters(endpoint.takes),
                "responses": told,
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Driftline",
            "version": "1",
            "description": "What the service does just now. Nothing here changes anything.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _parameters(takes: type[msgspec.Struct]) -> list[dict[str, Any]]:
    _, components = msgspec.json.schema_components([takes])
    schema = cast("dict[str, Any]", components[takes.__name__])
    needed = schema.get("required", ())
    return [
        {
            "name": name,
            "in": "query",
            "required": name in needed,
            "description": about.get("description", ""),
            "schema": {key: value for key, value in about.items() if key != "description"},
        }
        for name, about in schema["properties"].items()
    ]
