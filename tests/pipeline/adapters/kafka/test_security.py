"""TLS, every SASL mechanism that a broker has by itself, ACLs and refusals, against a real broker."""

import dataclasses
import logging
import socket
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourceType,
)

from pipeline.adapters.kafka import connection, reaching
from pipeline.adapters.kafka.connection import KafkaSettings
from pipeline.adapters.kafka.feed import FeedSettings, KafkaFeed
from pipeline.adapters.kafka.outbox import KafkaOutbox, OutboxSettings
from pipeline.adapters.kafka.topics import TopicAdmin, TopicPlan, TopicSpec
from pipeline.errors import ConfigError, FeedError
from pipeline.records import Place, Position
from tests.kafka_broker import Broker, create_topic, send
from tests.kafka_security import (
    GUEST,
    MECHANISMS,
    PASSWORD,
    USER,
    Certificates,
    secure_broker,
    unsecured_token,
    wait_for_acl,
)

pytestmark = pytest.mark.kafka

WRONG = "not the password"
SASL = tuple((security, mechanism) for security in ("sasl_plaintext", "sasl_ssl") for mechanism in MECHANISMS)


@dataclasses.dataclass(frozen=True)
class Secure:
    """A broker, its certificates, and a folder for tokens."""

    broker: Broker
    certificates: Certificates
    directory: Path

    def settings(self, security: str, mechanism: str | None = None, user: str = USER) -> KafkaSettings:
        """With which a user gets through."""
        settings = KafkaSettings((self.broker.address(security.upper()),), security=security)
        if security.endswith("ssl"):
            settings = dataclasses.replace(settings, ca_file=self.certificates.path("ca.pem"))
        if security == "ssl":
            return dataclasses.replace(
                settings, cert_file=self.certificates.path("client.pem"), key_file=self.certificates.path("client.key")
            )
        settings = dataclasses.replace(settings, sasl_mechanism=mechanism)
        if mechanism == "OAUTHBEARER":
            return dataclasses.replace(settings, token_file=self.token(unsecured_token(user)))
        return dataclasses.replace(settings, username=user, password=PASSWORD)

    def token(self, token: str) -> str:
        """A file with it."""
        path = self.directory / f"token-{uuid.uuid4().hex[:8]}"
        path.write_text(f"{token}\n")
        return str(path)


class _Member:
    """Of a group, which reads from the beginning whatever it is given."""

    def __init__(self, settings: KafkaSettings, feed: FeedSettings) -> None:
        self.feed = KafkaFeed(settings, feed)
        self.held: set[Place] = set()
        self.got: list[Any] = []
        self.feed.subscribe(self)

    def on_assigned(self, places: Collection[Place]) -> None:
        """See `Membership`."""
        self.held |= set(places)

    def on_revoked(self, places: Collection[Place]) -> None:
        """See `Membership`."""
        self.held -= set(places)

    on_lost = on_revoked

    def poll_until(self, condition: Callable[[], object]) -> None:
        """Poll, but not for ever."""
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "found no end"
            for messages in self.feed.poll(0.05, 100).values():
                self.got += messages


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """Of this module."""
    directory = tmp_path_factory.mktemp("secure")
    certificates = Certificates.make(directory / "certificates")
    broker = secure_broker(directory / "broker", certificates)
    broker.start()
    yield Secure(broker, certificates, directory)
    broker.stop()


def _get_through(settings: KafkaSettings, bootstrap: str) -> None:
    """Make and look at a topic, join a group, read, and commit a message and an offset in one transaction."""
    topic = uuid.uuid4().hex
    create_topic(bootstrap, topic)
    admin = TopicAdmin(settings)
    assert admin.inputs([topic], None) == {topic: 1}
    admin.close()
    member = _Member(settings, FeedSettings(topic, (topic,)))
    outbox = KafkaOutbox(settings, OutboxSettings(topic), lambda: member.feed.group_metadata)
    try:
        member.poll_until(lambda: bool(member.held))
        outbox.send(topic, 0, key=b"k", value=b"v")
        outbox.commit({Place(topic, 0): Position(0, "note")})
        member.poll_until(lambda: bool(member.got))
        assert [message.value for message in member.got] == [b"v"]
        assert member.feed.committed(Place(topic, 0)) == Position(0, "note")
    finally:
        outbox.close()
        member.feed.close()


@pytest.mark.parametrize(("security", "mechanism"), [("ssl", None), *SASL])
def test_every_way_in_gets_through(secure: Secure, security: str, mechanism: str | None) -> None:
    """An admin client, a member of a group and a transactional producer get through by each kind of security."""
    _get_through(secure.settings(security, mechanism), secure.broker.bootstrap)


def test_a_key_with_a_password_gets_through(secure: Secure) -> None:
    """The key of the client's certificate may be locked."""
    settings = dataclasses.replace(
        secure.settings("ssl"), key_file=secure.certificates.path("client-locked.key"), key_password=PASSWORD
    )
    TopicAdmin(settings).close()


def _refused(settings: KafkaSettings, error: type[Exception] = ConfigError, bootstrap_ms: int = 120_000) -> str:
    """What is told by a client that is refused at once, and does not try for as long as it may."""
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "_BOOTSTRAP_MS", bootstrap_ms)
        with pytest.raises(error) as raised:
            TopicAdmin(settings).close()
    assert time.monotonic() - began < 60
    return str(raised.value)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_wrong_password_is_told(secure: Secure, mechanism: str) -> None:
    """Credentials that the broker refuses are told at once, by every kind of client, and the password is not."""
    settings = dataclasses.replace(secure.settings("sasl_ssl", mechanism), password=WRONG)
    told = _refused(settings)
    assert "found the credentials refused (" in told
    assert "expected others: check username and password" in told
    assert WRONG not in told
    for make in (
        lambda: KafkaFeed(settings, FeedSettings("g", ("t",))),
        lambda: KafkaOutbox(settings, OutboxSettings("t"), lambda: None),
    ):
        with pytest.raises(ConfigError, match="credentials refused"):
            make()


def test_a_token_that_is_refused_is_told(secure: Secure) -> None:
    """An expired token and what is none are told; the token is not."""
    settings = secure.settings("sasl_ssl", "OAUTHBEARER")
    for token in (unsecured_token(USER, lifetime_s=-10), "bm9uZQ.bm9uZQ."):
        told = _refused(dataclasses.replace(settings, token_file=secure.token(token)))
        assert "found the credentials refused (" in told
        assert "check the token in token_file" in told
        assert token not in told


def test_a_certificate_that_is_not_trusted_is_told(secure: Secure) -> None:
    """By whom it is vouched for and whose it is are checked, and which of them was wrong is told."""
    settings = secure.settings("sasl_ssl", "PLAIN")
    told = _refused(dataclasses.replace(settings, ca_file=secure.certificates.path("foreign.pem")))
    assert "certificate of the broker that is not trusted (unable to get local issuer certificate)" in told
    assert "ca_file" in told
    elsewhere = dataclasses.replace(settings, bootstrap=(secure.broker.address("SASL_SSL", "127.0.0.1"),))
    told = _refused(elsewhere)
    assert "mismatch" in told
    assert "check_hostname" in told
    TopicAdmin(dataclasses.replace(elsewhere, check_hostname=False)).close()


def test_a_certificate_of_the_client_is_asked_for(secure: Secure) -> None:
    """To show none, or one that a foreign authority vouches for, is told as that."""
    settings = secure.settings("ssl")
    told = _refused(dataclasses.replace(settings, cert_file=None, key_file=None))
    assert "found no certificate to show, which is asked for there; expected cert_file and key_file" in told
    path = secure.certificates.path
    told = _refused(dataclasses.replace(settings, cert_file=path("foreign.pem"), key_file=path("foreign.key")))
    assert "found the broker refusing this client's certificate" in told


@pytest.mark.parametrize(
    ("listener", "security", "wanted"),
    [
        ("SASL_PLAINTEXT", "plaintext", "'sasl_plaintext' and sasl_mechanism out of OAUTHBEARER, PLAIN, SCRAM-SHA-256"),
        ("SASL_SSL", "plaintext", "'sasl_ssl' and sasl_mechanism out of OAUTHBEARER, PLAIN, SCRAM-SHA-256"),
        ("SSL", "plaintext", "'ssl', with cert_file and key_file"),
        ("SASL_SSL", "ssl", "'sasl_ssl' and"),
        ("SASL_PLAINTEXT", "sasl_ssl", "'sasl_plaintext' and"),
        ("SSL", "sasl_ssl", "'ssl', with"),
        ("PLAINTEXT", "ssl", "'plaintext'"),
        ("PLAINTEXT", "sasl_ssl", "'plaintext'"),
        ("PLAINTEXT", "sasl_plaintext", "'plaintext'"),
    ],
)
def test_another_way_of_speaking_is_told(secure: Secure, listener: str, security: str, wanted: str) -> None:
    """What the broker speaks is found out and told, whatever was spoken to it."""
    broker = secure.broker
    bootstrap = broker.bootstrap if listener == "PLAINTEXT" else broker.address(listener)
    settings = KafkaSettings((bootstrap,))
    if security != "plaintext":
        settings = secure.settings(security, "PLAIN")
    told = _refused(dataclasses.replace(settings, bootstrap=(bootstrap,)))
    assert f"found security {security!r} in [kafka]" in told
    assert f"expected {wanted}" in told


def test_another_mechanism_is_told(secure: Secure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mechanism that the broker does not take is told with those that it takes."""
    (tmp_path / "botocore.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    told = _refused(dataclasses.replace(secure.settings("sasl_ssl", "PLAIN"), sasl_mechanism="AWS_MSK_IAM"))
    assert "found sasl_mechanism AWS_MSK_IAM in [kafka], which is not taken there" in told
    assert f"expected one of {', '.join(sorted(MECHANISMS))}" in told


@pytest.mark.parametrize("security", ["plaintext", "sasl_ssl"])
def test_a_port_with_no_broker_is_no_answer(secure: Secure, security: str) -> None:
    """Nobody there, and with TLS somebody who says nothing: it may pass by itself."""
    settings = KafkaSettings(()) if security == "plaintext" else secure.settings(security, "PLAIN")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        if security != "plaintext":
            one.listen(16)
        where = f"127.0.0.1:{one.getsockname()[1]}"
        told = _refused(dataclasses.replace(settings, bootstrap=(where,)), FeedError, bootstrap_ms=1_500)
    assert f"found no answer from {where} (KafkaConnectionError: {where}: " in told
    assert ("ECONNREFUSED" in told) == (security == "plaintext")


def test_one_broker_of_several_is_enough(secure: Secure) -> None:
    """A bootstrap address that refuses keeps nobody from the others."""
    settings = secure.settings("sasl_ssl", "PLAIN")
    others = (secure.broker.address("SASL_SSL", "127.0.0.1"), "127.0.0.1:9")  # the name differs; nobody is there
    for _ in range(4):
        TopicAdmin(dataclasses.replace(settings, bootstrap=(*others, *settings.bootstrap))).close()
    told = _refused(dataclasses.replace(settings, bootstrap=others))
    assert "mismatch" in told


def test_secrets_are_in_no_log(secure: Secure, caplog: pytest.LogCaptureFixture) -> None:
    """Not even with kafka-python told to log all that it can: neither its options nor what goes over the wire."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="kafka")
    token = unsecured_token(USER)
    for mechanism in MECHANISMS:
        settings = secure.settings("sasl_ssl", mechanism)
        if mechanism == "OAUTHBEARER":
            settings = dataclasses.replace(settings, token_file=secure.token(token))
        TopicAdmin(settings).close()
        _refused(dataclasses.replace(settings, ca_file=secure.certificates.path("foreign.pem")))
    locked = dataclasses.replace(
        secure.settings("ssl"), key_file=secure.certificates.path("client-locked.key"), key_password=PASSWORD
    )
    TopicAdmin(locked).close()
    assert "Starting KafkaAdminClient with configuration" in caplog.text
    assert "Authenticated as alice via SASL" in caplog.text
    assert PASSWORD not in caplog.text
    assert PASSWORD.encode().hex() not in caplog.text
    assert token not in caplog.text


def _allow(secure: Secure, kind: str, name: str, operation: str) -> None:
    """The guest may do that from now on."""
    admin: Any = KafkaAdminClient(bootstrap_servers=secure.broker.bootstrap)
    try:
        resource = ResourcePattern(ResourceType[kind], name)
        acl = ACL(f"User:{GUEST}", "*", ACLOperation[operation], ACLPermissionType.ALLOW, resource)
        admin.create_acls([acl])
        wait_for_acl(admin, acl)
    finally:
        admin.close()


def _read(settings: KafkaSettings, group: str, topic: str) -> None:
    """A message of it, from the beginning, as a member."""
    member = _Member(settings, FeedSettings(group, (topic,)))
    try:
        member.poll_until(lambda: bool(member.held))
        member.feed.seek(Place(topic, 0), 0)
        member.poll_until(lambda: bool(member.got))
    finally:
        with suppress(FeedError, ConfigError):
            member.feed.close()


def _write(settings: KafkaSettings, transactional_id: str, topic: str) -> None:
    outbox = KafkaOutbox(settings, OutboxSettings(transactional_id), lambda: None)
    try:
        outbox.send(topic, 0, key=b"k", value=b"v")
        outbox.commit({})
    finally:
        outbox.close()


def test_what_members_may_not_do_is_told_by_name(secure: Secure) -> None:
    """Topic, group and transactional id are named in turn, until all is allowed that reading and writing takes."""
    topic = f"acl-{uuid.uuid4().hex}"
    group, transactional_id = f"{topic}-group", f"{topic}-id"
    create_topic(secure.broker.bootstrap, topic)
    settings = secure.settings("sasl_plaintext", "PLAIN", GUEST)

    def refused(step: Callable[[], object], what: str) -> None:
        with pytest.raises(ConfigError) as raised:
            step()
        assert f"found no permission for {what}; expected an ACL that allows it" in str(raised.value)

    def read() -> None:
        _read(settings, group, topic)

    def write() -> None:
        _write(settings, transactional_id, topic)

    refused(read, f"group {group}")
    refused(write, f"transactional id {transactional_id}")
    _allow(secure, "GROUP", group, "READ")
    _allow(secure, "TRANSACTIONAL_ID", transactional_id, "WRITE")
    refused(read, f"topic {topic}")
    refused(write, f"topic {topic}")
    _allow(secure, "TOPIC", topic, "DESCRIBE")
    refused(read, f"topic {topic}")
    refused(write, f"topic {topic}")
    _allow(secure, "TOPIC", topic, "WRITE")
    write()
    refused(read, f"topic {topic}")
    _allow(secure, "TOPIC", topic, "READ")
    read()


def test_topics_that_may_not_be_seen_or_made_are_told(secure: Secure) -> None:
    """A topic is not taken for missing because it may not be seen, nor for right because its settings may not."""
    topic = f"acl-{uuid.uuid4().hex}"
    create_topic(secure.broker.bootstrap, topic)
    admin = TopicAdmin(secure.settings("sasl_plaintext", "PLAIN", GUEST))

    def found(name: str, *, create: bool) -> tuple[str, str]:
        plan = TopicPlan(create=create, replication=None, retention_ms=1000)
        (finding,) = admin.ensure([TopicSpec(name, compacted=True)], [], plan)
        return finding.level, finding.text

    denied = "found no permission for it; expected an ACL that allows Describe and "
    try:
        with pytest.raises(ConfigError, match=f"topic {topic}: {denied}Read"):
            admin.inputs([topic], None)
        for create in (True, False):
            assert found(topic, create=create) == ("error", f"{denied}Write")
        _allow(secure, "TOPIC", topic, "DESCRIBE")
        assert admin.inputs([topic], None) == {topic: 1}
        level, text = found(topic, create=False)
        assert (level, "expected an ACL that allows DescribeConfigs" in text) == ("warning", True)
        _allow(secure, "TOPIC", f"{topic}-new", "DESCRIBE")
        level, text = found(f"{topic}-new", create=True)
        assert (level, text.startswith("found no permission to make it (")) == ("error", True)
    finally:
        admin.close()


def test_a_member_whose_token_is_no_longer_taken_is_told(secure: Secure, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that runs out ends a connection, and a member that gets no other is told, instead of waiting for ever."""
    monkeypatch.setattr(reaching, "_REFUSED_S", 1.0)
    topic = uuid.uuid4().hex
    create_topic(secure.broker.bootstrap, topic)
    path = Path(secure.token(unsecured_token(USER, lifetime_s=10)))
    until = time.monotonic() + 12
    settings = dataclasses.replace(secure.settings("sasl_ssl", "OAUTHBEARER"), token_file=str(path))
    member = _Member(settings, FeedSettings(topic, (topic,)))
    try:
        member.poll_until(lambda: bool(member.held))
        member.feed.seek(Place(topic, 0), 0)
        path.write_text(unsecured_token(USER, lifetime_s=18))
        member.poll_until(lambda: time.monotonic() > until)  # with the new one it goes on
        # in other words where a heartbeat is refused first
        with pytest.raises(ConfigError, match=r"found (the credentials|authentication) refused"):
            member.poll_until(lambda: False)
        path.write_text(unsecured_token(USER))
        send(secure.broker.bootstrap, topic, [(0, b"k", b"v")])
        member.poll_until(lambda: bool(member.got))  # nothing has come to an end
    finally:
        member.feed.close()
