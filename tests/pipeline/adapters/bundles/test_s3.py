"""A registry on S3, as a server on loopback speaks it."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.adapters.bundles.collection import Rule
from pipeline.adapters.bundles.history import Act
from pipeline.adapters.bundles.registry import Registry
from pipeline.errors import BundleError, ConflictError, RegistryError
from tests.pipeline.adapters.bundles.bench import act, damage, example, fill

pytestmark = [
    pytest.mark.s3,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # what the server's libraries do is theirs
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of an empty folder in a bucket."""
    import fsspec
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    files.clear_instance_cache()
    fsspec.filesystem("s3").makedirs("bucket", exist_ok=True)  # the servers of a process have all in common
    yield f"s3://bucket/{request.node.name}"
    server.stop()


def test_a_registry_lives_on_s3(bucket: str) -> None:
    """Bundles come back to the bit, the champion changes, damages are refused, and what goes is gone."""
    registry = Registry(bucket)
    assert registry.champion() is None
    ids = fill(registry, 3)
    registry.promote(ids[0], act(4))
    registry.promote(ids[1], act(4), expected=ids[0])
    other = Registry(bucket)
    assert other.champion() == ids[1]
    assert other.load(ids[0]).manifest == example().manifest
    assert all(wrong is None for wrong in other.verify().values())
    assert other.rollback(act(5)).champion == ids[0]
    later = Act("ann", datetime.now(UTC) + timedelta(days=60))
    registry._blobs.put("bundles/stray/weights.safetensors", b"half")
    plan = registry.collect(Rule(ancestors=0, events=0, younger_than=timedelta(0)), later)
    assert (plan.going, plan.strays) == (tuple(ids[1:]), ("bundles/stray",))
    assert registry._blobs.names("bundles") == [ids[0]]
    damage(bucket, f"bundles/{ids[0]}/weights.safetensors")
    with pytest.raises(BundleError, match=rf"^{bucket}/bundles/{ids[0]}/weights.safetensors: found content"):
        Registry(bucket).load(ids[0])


def test_one_of_two_writers_is_first(bucket: str) -> None:
    """S3's conditional put lets one promotion of many through that expect the same champion."""
    registry = Registry(bucket)
    ids = fill(registry, 5)
    registry.promote(ids[0], act(6))
    outcomes: list[object] = []

    def promote(bundle: str) -> None:
        try:
            outcomes.append(Registry(bucket).promote(bundle, act(7), expected=ids[0]))
        except ConflictError as exc:
            outcomes.append(exc)

    threads = [threading.Thread(target=promote, args=(bundle,)) for bundle in ids[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(one, ConflictError) for one in outcomes) == 3
    assert len(outcomes) == 4
    assert len(Registry(bucket).history()) == 7


def test_no_bucket_is_made_by_mistake(bucket: str) -> None:
    """A name that is misspelt is told, and nothing is written elsewhere."""
    with pytest.raises(RegistryError, match="found no bucket 'bukket'; expected one: make it, or see to the name"):
        Registry(bucket.replace("/bucket/", "/bukket/")).publish(example(), act())
