"""Options for kafka-python, and its errors told as Driftline's."""

import dataclasses
import inspect
from pathlib import Path
from typing import cast

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, errors
from kafka.net.sasl import get_sasl_mechanism

from pipeline.adapters.kafka.connection import KafkaSettings, client_options, told_as_feed_error
from pipeline.adapters.kafka.refusals import refusal
from pipeline.errors import ConfigError, DriftlineError, FeedError, FencedError
from tests.kafka_security import PASSWORD, Certificates

BOOTSTRAP = ("broker:9092",)
PLAIN = KafkaSettings(
    BOOTSTRAP, security="sasl_ssl", sasl_mechanism="PLAIN", username="alice", password=PASSWORD
)  # fmt: skip


def _refused(settings: KafkaSettings) -> str:
    with pytest.raises(ConfigError) as raised:
        client_options(settings)
    return str(raised.value)


def test_options_are_those_that_every_client_knows() -> None:
    """Consumers, producers and admin clients take all of them."""
    options = client_options(PLAIN)
    for kind in (KafkaConsumer, KafkaProducer, KafkaAdminClient):
        assert options.keys() <= kind.DEFAULT_CONFIG.keys()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_passwords_are_given_as_the_mechanisms_take_them(mechanism: str) -> None:
    """The first message that goes out bears the name, escaped for SCRAM, and PLAIN's the password."""
    settings = dataclasses.replace(PLAIN, sasl_mechanism=mechanism, username="a=b,c")
    first = get_sasl_mechanism(mechanism)(host="broker", **client_options(settings)).auth_bytes()
    if mechanism == "PLAIN":
        assert first == f"a=b,c\0a=b,c\0{PASSWORD}".encode()
    else:
        assert first.startswith(b"n,,n=a=3Db=2Cc,r=")


def test_a_token_is_read_for_every_connection(tmp_path: Path) -> None:
    """A renewed token is used from the next connection on, and one that has gone is told."""
    path = tmp_path / "token"
    settings = KafkaSettings(BOOTSTRAP, security="sasl_ssl", sasl_mechanism="OAUTHBEARER", token_file=str(path))
    assert "token_file: found no readable file" in _refused(settings)
    path.write_text(" \n")
    assert f"token_file: found {path} empty" in _refused(settings)
    path.write_text("first\n")
    mechanism = get_sasl_mechanism("OAUTHBEARER")(host="broker", **client_options(settings))
    path.write_text("second\n")
    assert mechanism.auth_bytes() == b"n,,\x01auth=Bearer second\x01\x01"
    path.unlink()
    with pytest.raises(ConfigError, match="token_file: found no readable file"):
        mechanism.auth_bytes()
    assert "token_file: found none" in _refused(dataclasses.replace(settings, token_file=None))


_GSSAPI = """
class NameType: hostbased_service = "hostbased"
class MechType: kerberos = "kerberos"
class Name:
    def __init__(self, text, name_type): self.text = f"{text} {name_type}"
    def canonicalize(self, kind): self.text += f" {kind}"; return self
class SecurityContext:
    complete = False
    def __init__(self, name, usage): self.name, self.usage = name, usage
    def step(self, token): return self.name.text.encode()
"""


def test_kerberos_is_given_its_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The principal is of the service and domain configured, else of the broker's host; without gssapi that is told."""
    settings = KafkaSettings(BOOTSTRAP, security="sasl_ssl", sasl_mechanism="GSSAPI", kerberos_service="k")
    assert "not the package gssapi that it needs; expected it to be installed: pip install gssapi" in _refused(settings)
    (tmp_path / "gssapi.py").write_text(_GSSAPI)
    monkeypatch.syspath_prepend(tmp_path)
    for domain, principal in ((None, b"k@broker"), ("kafka.example.com", b"k@kafka.example.com")):
        options = client_options(dataclasses.replace(settings, kerberos_domain=domain))
        sasl = {"sasl_kerberos_name": None, "sasl_kerberos_domain_name": None} | options
        first = get_sasl_mechanism("GSSAPI")(host="broker", **sasl).auth_bytes()
        assert first == principal + b" hostbased kerberos"


_BOTOCORE = """
class Session:
    def get_credentials(self): return self
    def get_frozen_credentials(self): return self
    access_key, secret_key, token = "id", "secret", None
    def get_config_variable(self, name): return "eu-central-1" if name == "region" else None
"""


def test_aws_is_left_to_find_its_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_MSK_IAM needs botocore and TLS, and nothing of ours; both are told where they are missing."""
    settings = KafkaSettings(BOOTSTRAP, security="sasl_ssl", sasl_mechanism="AWS_MSK_IAM")
    assert "not the package botocore that it needs" in _refused(settings)
    (tmp_path / "botocore").mkdir()
    (tmp_path / "botocore" / "__init__.py").touch()
    (tmp_path / "botocore" / "session.py").write_text(_BOTOCORE)
    monkeypatch.syspath_prepend(tmp_path)
    assert "security: found 'sasl_plaintext'" in _refused(dataclasses.replace(settings, security="sasl_plaintext"))
    first = get_sasl_mechanism("AWS_MSK_IAM")(host="broker", **client_options(settings)).auth_bytes()
    assert b'"host":"broker"' in first
    assert b"eu-central-1/kafka-cluster" in first


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sasl_mechanism": None}, "sasl_mechanism: found none with security 'sasl_ssl'; expected one of PLAIN, SCRAM"),
        ({"sasl_mechanism": "MD5"}, "sasl_mechanism: found MD5; expected one of PLAIN"),
        ({"username": None}, "username: found none with sasl_mechanism PLAIN"),
        ({"password": None}, "password: found none with sasl_mechanism PLAIN"),
        ({"password": ""}, "password: found none with sasl_mechanism PLAIN"),
        ({"security": "ssl"}, "sasl_mechanism: found one with security 'ssl'"),
        ({"security": "plaintext", "sasl_mechanism": None}, "username: found one with security 'plaintext'"),
        ({"security": "sasl_plaintext", "ca_file": "ca.pem"}, "ca_file: found one with security 'sasl_plaintext'"),
        ({"ca_file": "nowhere.pem"}, "ca_file: found no file nowhere.pem"),
        ({"key_file": __file__}, "cert_file: found none beside key_file"),
        ({"ca_file": __file__}, "ca_file: found no certificates in"),
        ({"cert_file": __file__}, "cert_file: found that"),
        ({"bootstrap": ("broker",)}, "bootstrap: found 'broker'; expected host:port"),
        ({"bootstrap": ("broker:port",)}, "bootstrap: found 'broker:port'; expected host:port"),
        ({"bootstrap": ("broker:99999",)}, "bootstrap: found 'broker:99999'; expected host:port"),
        ({"bootstrap": (":9092",)}, "bootstrap: found ':9092'; expected host:port"),
    ],
)
def test_what_does_not_go_together_is_told(changes: dict[str, object], told: str) -> None:
    """Settings that are missing, have no use, or name files that cannot be used are refused with their key."""
    assert f"[kafka] {told}" in _refused(dataclasses.replace(PLAIN, **changes))  # type: ignore[arg-type]


def test_keys_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    """Another's key, and a locked one with a wrong password or none, are told; nobody is asked on the terminal."""
    certificates = Certificates.make(tmp_path)
    settings = KafkaSettings(
        BOOTSTRAP, security="ssl", cert_file=certificates.path("client.pem"), key_file=certificates.path("server.key")
    )
    assert "cannot be used (key values mismatch)" in _refused(settings)
    settings = dataclasses.replace(settings, key_file=certificates.path("client-locked.key"))
    assert "cannot be used (" in _refused(settings)
    told = _refused(dataclasses.replace(settings, key_password=PASSWORD[1:]))
    assert "expected a certificate and its own key in PEM, and key_password where the key has one" in told
    assert client_options(dataclasses.replace(settings, key_password=PASSWORD))["ssl_certfile"] == settings.cert_file


def test_secrets_are_in_no_repr() -> None:
    """Neither the settings nor the options show a password, as text or otherwise; it is there all the same."""
    settings = dataclasses.replace(PLAIN, key_password=PASSWORD)
    options = client_options(settings)
    assert PASSWORD not in f"{settings} {settings!r} {options} {options!r} {options['sasl_plain_password']}"
    assert options["sasl_plain_password"] == PASSWORD
    assert options["ssl_password"].encode() == PASSWORD.encode()


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (errors.FencedInstanceIdError(), FencedError, "another process that goes by this one's instance"),
        (errors.SaslAuthenticationFailedError("no"), ConfigError, "authentication refused"),
        (errors.TopicAuthorizationFailedError({"b", "a"}), ConfigError, "no permission for topic a, b;"),
        (errors.GroupAuthorizationFailedError("g"), ConfigError, "no permission for group g;"),
        (errors.ClusterAuthorizationFailedError(), ConfigError, "no permission for the cluster;"),
        (errors.TransactionalIdAuthorizationFailedError(), ConfigError, "no permission for transactional id;"),
        (errors.InvalidTopicError("a b"), ConfigError, "a name that no topic can have (InvalidTopicError: a b)"),
        (errors.KafkaConnectionError("x"), FeedError, "no answer from broker:9092 (KafkaConnectionError: x)"),
        (errors.KafkaTimeoutError(), FeedError, "no answer from broker:9092 (KafkaTimeoutError)"),
        (ConnectionResetError("x"), FeedError, "no answer from broker:9092 (ConnectionResetError: x)"),
        (errors.UnknownTopicOrPartitionError("t"), FeedError, "found no such topic ("),
        (errors.UnknownError("x"), FeedError, "found UnknownError: x"),
    ],
)
def test_errors_are_told_as_driftlines(error: Exception, kind: type[DriftlineError], told: str) -> None:
    """What only another configuration helps is no `FeedError`, and the text says what was the matter."""
    with pytest.raises(DriftlineError) as raised, told_as_feed_error("doing", KafkaSettings(BOOTSTRAP)):
        raise error
    assert type(raised.value) is kind
    assert str(raised.value).startswith("doing: found ")
    assert told in str(raised.value)
    assert raised.value.__cause__ is error


def test_every_error_of_kafka_python_is_told() -> None:
    """None comes through as it is."""
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.KafkaError) and kind is not errors.LogTruncationError:
            error = cast("Exception", kind())
            with pytest.raises(DriftlineError), told_as_feed_error(name):
                raise error


@pytest.mark.parametrize(
    ("mechanism", "error", "told"),
    [
        (
            "GSSAPI",
            RuntimeError("no ticket"),
            "authentication by GSSAPI failing (no ticket); expected others: check kerb",
        ),
        ("AWS_MSK_IAM", AttributeError("'NoneType'"), "check the AWS credentials and AWS_DEFAULT_REGION"),
        ("AWS_MSK_IAM", errors.KafkaConfigurationError("no region"), "by AWS_MSK_IAM failing (no region)"),
        ("PLAIN", errors.KafkaConnectionError("socket disconnected"), None),
        ("PLAIN", ConnectionResetError(), None),
        (None, RuntimeError("a bug"), None),
    ],
)
def test_what_a_mechanism_raises_is_a_refusal(mechanism: str | None, error: Exception, told: str | None) -> None:
    """Whatever the libraries of a mechanism raise is told with what to check; what may pass is no refusal."""
    refused = refusal(error, "broker:9092", {"sasl_mechanism": mechanism})
    if told is None:
        assert refused is None
    else:
        assert str(refused).startswith("Kafka at broker:9092: found ")
        assert told in str(refused)
