"""How the page is put together: registries that are slow or damaged, and a configuration full of secrets."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.adapters.bundles.history import Act
from pipeline.adapters.bundles.reading import RegistryView
from pipeline.adapters.bundles.registry import Registry
from pipeline.adapters.bundles.training_log import TrainingLog
from pipeline.adapters.http import serve_http
from pipeline.cli.live_web import RegistryLook, make_web
from pipeline.config import Config
from pipeline.errors import RegistryError
from pipeline.learning.records import Run, Signal
from tests.pipeline.adapters.live.samples import Told, fleet_batches, get

_MARK = "hunter2-and-a-staple"


def _act(reason: str) -> Act:
    return Act("somebody", datetime(2026, 11, 26, tzinfo=UTC), reason)


def _opening(folder: Path) -> Callable[[], tuple[RegistryView, TrainingLog]]:
    return lambda: (RegistryView(str(folder)), TrainingLog(str(folder)))


def test_the_history_of_bundles_is_told(tmp_path: Path) -> None:
    """What the registry tells, newest first; what is new comes once what is known is old."""
    registry = Registry(str(tmp_path / "models"))
    bundle = load_bundle(shipped_bundle_path())
    registry.publish(bundle, _act("a try"))
    now = [0.0]
    look = RegistryLook(_opening(tmp_path / "models"), is_followed=True, clock=lambda: now[0])
    told = look.history("here")
    assert (told.bundle, told.followed, told.champion, told.held, told.trouble) == ("here", True, None, False, False)
    assert [(one.kind, one.reason, one.bundle) for one in told.events] == [("published", "a try", bundle.short_id)]
    registry.promote(bundle.manifest.id, _act("it is better"))
    assert look.history("here").champion is None
    now[0] = 60.0
    told = look.history("here")
    assert told.champion == bundle.short_id
    assert [one.kind for one in told.events] == ["promoted", "published"]


def test_trainings_and_what_waits_for_one_are_told(tmp_path: Path) -> None:
    """Newest first, with outcome, loss and time; a drift waits until another bundle is champion; no error is told."""
    url = str(tmp_path / "models")
    registry, log = Registry(url), TrainingLog(url)
    bundle = load_bundle(shipped_bundle_path())
    registry.publish(bundle, _act(""))
    noon = datetime(2026, 11, 26, 12, tzinfo=UTC)
    for name, old in (("1-drift", "feed"), ("2-drift", bundle.manifest.id[:8])):
        log.tell(
            Signal(name=name, kind="drift", at=noon, by="driftline serve", reason="it rose", bundle=old,
                   topic="metrics", partition=3, before=0.5, behind=0.9)
        )  # fmt: skip
    hour = timedelta(hours=1)
    log.keep(
        Run(name="1", at=noon, by="here", trigger="drift", answers=("1-drift",), outcome="promoted", told="all are met",
            since=noon - hour, until=noon, champion="feed" * 16, bundle=bundle.manifest.id, champion_loss=0.9,
            challenger_loss=0.8, points=7000, seconds={"training": 60.0, "judging": 2.5}, device="cpu")
    )  # fmt: skip
    log.keep(
        Run(name="2", at=noon + hour, by="here", trigger="drift", answers=("2-drift",), outcome="failed",
            told=f"no space at {tmp_path}", since=noon, until=noon + hour)
    )  # fmt: skip
    registry.promote(bundle.manifest.id, _act("it is better"))
    told = RegistryLook(_opening(tmp_path / "models"), is_followed=True).history("here")
    failed, promoted = told.trainings
    assert (failed.name, failed.outcome, failed.told, failed.bundle) == ("2", "failed", "", None)
    assert str(tmp_path) not in repr(told)
    assert (promoted.trigger, promoted.outcome, promoted.told, promoted.points) == (
        "drift",
        "promoted",
        "all are met",
        7000,
    )
    assert (promoted.bundle, promoted.champion) == (bundle.short_id, "feed" * 4)
    assert (promoted.champion_loss, promoted.challenger_loss, promoted.duration_s) == (0.9, 0.8, 62.5)
    assert promoted.until_ms - promoted.since_ms == 3_600_000.0
    (waiting,) = told.waiting
    assert (waiting.name, waiting.kind, waiting.topic, waiting.partition) == ("2-drift", "drift", "metrics", 3)
    assert (waiting.before, waiting.behind, waiting.time_ms) == (0.5, 0.9, noon.timestamp() * 1000)


def test_a_registry_that_cannot_be_read_is_trouble(tmp_path: Path) -> None:
    """That it is so is told, and nothing of its path; one that hangs keeps nobody for long."""
    folder = tmp_path / "models"
    Registry(str(folder)).publish(load_bundle(shipped_bundle_path()), _act(""))
    events = [*(folder / "history").iterdir()]
    assert events
    for file in events:
        file.write_bytes(b"{}")
    damaged = RegistryLook(_opening(folder), is_followed=False).history("b")
    assert damaged.trouble

    def refuse() -> tuple[RegistryView, TrainingLog]:
        raise RegistryError(f"found nothing at {folder}")

    told = RegistryLook(refuse, is_followed=False).history("b")
    assert told.trouble
    assert str(folder) not in repr(told)
    never = threading.Event()

    def hang() -> tuple[RegistryView, TrainingLog]:
        never.wait(20)
        raise RegistryError("late")

    assert RegistryLook(hang, is_followed=False).history("b").events == []
    never.set()


def test_secrets_and_paths_stay_here(tmp_path: Path) -> None:
    """Whatever is asked, no answer holds anything of the configuration's secrets and files."""
    config = Config().model_copy(
        update={
            "kafka": Config().kafka.model_copy(
                update={
                    "password": SecretStr(_MARK), "key_password": SecretStr(_MARK), "username": "robot-user",
                    "key_file": f"/etc/{_MARK}.key", "token_file": f"/run/{_MARK}",
                }
            ),
            "state": Config().state.model_copy(update={"store": f"s3://{_MARK}/state"}),
            "models": Config().models.model_copy(update={"registry": str(tmp_path / _MARK)}),
        }
    )  # fmt: skip
    told = Told()
    for batch in fleet_batches(16):
        told.process(batch)
        told.commit()
    web = make_web(config, told.view)
    port, stop = serve_http("127.0.0.1", 0, told.registry, told.health, web)
    try:
        key = told.engine.lanes.names[0]
        for path in ("/", "/live.js", "/live.css", "/metrics", "/healthz", "/api/v1/overview", "/api/v1/anomalies",
                     "/api/v1/keys", f"/api/v1/history?key={key}", "/api/v1/models", "/api/v1/openapi.json",
                     "/api/v1/x", "/api/v1/history", "/%2e%2e/%2e%2e/etc/passwd"):  # fmt: skip
            answer = repr(get(port, path))
            assert not [one for one in (_MARK, "robot-user", str(tmp_path)) if one in answer], path
    finally:
        stop()


def test_there_is_no_page_where_none_is_wanted() -> None:
    """With `live = false` there are metrics and health alone."""
    config = Config().model_copy(update={"http": Config().http.model_copy(update={"live": False})})
    told = Told()
    assert make_web(config, told.view) is None
    port, stop = serve_http("127.0.0.1", 0, told.registry, told.health, None)
    try:
        assert get(port, "/api/v1/overview")[0] == 404
        assert get(port, "/metrics")[0] == 200
    finally:
        stop()
