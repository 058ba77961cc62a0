"""How Kafka is reached: settings, as options of kafka-python's clients, and its errors as Driftline's."""

import importlib.util
import logging
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka import errors
from kafka.net.sasl.oauth import AbstractTokenProvider

from pipeline.adapters.kafka.reaching import ReachingClient
from pipeline.adapters.kafka.refusals import cause, no_permission
from pipeline.errors import ConfigError, FeedError, FencedError

_BOOTSTRAP_MS = 10_000
_WIRE_LOGS = ("kafka.net.connection", "kafka.protocol.parser")
"""They tell at level debug what goes over the wire, passwords and tokens among it."""


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where the brokers are and how they are talked to.

    Attributes:
        bootstrap: brokers to begin with, as host:port.
        client: name by which brokers log this client.
        security: plaintext, ssl, sasl_plaintext or sasl_ssl.
        key_password, password: secrets, in no message and no repr.
        token_file: with the mechanism OAUTHBEARER, read anew for every connection.
    """

    bootstrap: tuple[str, ...]
    client: str = "driftline"
    security: str = "plaintext"
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password: str | None = field(default=None, repr=False)
    check_hostname: bool = True
    sasl_mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    kerberos_service: str = "kafka"
    kerberos_domain: str | None = None
    token_file: str | None = None


class _Hidden(str):
    """A secret, which kafka-python's logs of its options do not tell."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    __str__ = __repr__


class _TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    """The token in a file, as it is when a connection is made."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def token(self) -> str:
        """Its text, without blanks around it.

        Raises:
            ConfigError: there is none.
        """
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(f"[kafka] token_file: found no readable file {self._path}; expected a token") from exc
        if not token:
            raise ConfigError(f"[kafka] token_file: found {self._path} empty; expected a token")
        return token


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options that consumers, producers and admin clients have in common.

    Files are read anew for every connection, so that certificates and tokens can be renewed while a service runs.

    Raises:
        ConfigError: settings that do not go together, files that cannot be used, or a package that is missing.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": [_address(one) for one in settings.bootstrap],
        "client_id": settings.client,
        "security_protocol": settings.security.upper(),
        "bootstrap_timeout_ms": _BOOTSTRAP_MS,
        "kafka_client": ReachingClient,
    }
    if settings.security in {"ssl", "sasl_ssl"}:
        options |= _tls_options(settings)
    else:
        _refuse_unused(settings, ("ca_file", "cert_file", "key_file", "key_password"), "ssl or sasl_ssl")
    if settings.security.startswith("sasl_"):
        options |= _sasl_options(settings)
    else:
        wanted = "sasl_ssl or sasl_plaintext"
        _refuse_unused(settings, ("sasl_mechanism", "username", "password", "token_file"), wanted)
    return options


def _address(text: str) -> str:
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 2**16:
        raise ConfigError(f"[kafka] bootstrap: found {text!r}; expected host:port, such as localhost:9092")
    return text.strip()


def _refuse_unused(settings: KafkaSettings, names: Sequence[str], wanted: str) -> None:
    for name in names:
        if getattr(settings, name) is not None:
            raise ConfigError(
                f"[kafka] {name}: found one with security {settings.security!r}, where it has no use; expected "
                f"security {wanted}"
            )


def _tls_options(settings: KafkaSettings) -> dict[str, Any]:
    for name in ("ca_file", "cert_file", "key_file"):
        path = getattr(settings, name)
        if path is not None and not Path(path).is_file():
            raise ConfigError(f"[kafka] {name}: found no file {path}; expected one in PEM")
    if settings.cert_file is None and settings.key_file is not None:
        raise ConfigError("[kafka] cert_file: found none beside key_file; expected the certificate of that key")
    # a password in any case: without one OpenSSL would ask for it on the terminal
    password = _Hidden(settings.key_password or "")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if settings.ca_file is not None:
            context.load_verify_locations(settings.ca_file)
    except OSError as exc:
        raise ConfigError(f"[kafka] ca_file: found no certificates in {settings.ca_file}; expected PEM") from exc
    try:
        if settings.cert_file is not None:
            context.load_cert_chain(settings.cert_file, settings.key_file, password)
    except OSError as exc:
        where = settings.key_file or settings.cert_file
        raise ConfigError(
            f"[kafka] cert_file: found that {settings.cert_file} and the key in {where} cannot be used "
            f"({_reason(exc)}); expected a certificate and its own key in PEM, and key_password where the key has one"
        ) from exc
    return {
        "ssl_cafile": settings.ca_file,
        "ssl_certfile": settings.cert_file,
        "ssl_keyfile": settings.key_file,
        "ssl_password": password,
        "ssl_check_hostname": settings.check_hostname,
    }


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
    return str(reason).replace("_", " ").lower()


def _sasl_options(settings: KafkaSettings) -> dict[str, Any]:
    mechanism = settings.sasl_mechanism
    if mechanism not in _MECHANISMS:
        found = mechanism or f"none with security {settings.security!r}"
        raise ConfigError(f"[kafka] sasl_mechanism: found {found}; expected one of {', '.join(_MECHANISMS)}")
    for name in _WIRE_LOGS:
        logging.getLogger(name).setLevel(logging.INFO)
    return {"sasl_mechanism": mechanism, **_MECHANISMS[mechanism](settings)}


def _password_options(settings: KafkaSettings) -> dict[str, Any]:
    username = settings.username
    if not username or not settings.password:
        missing = "password" if username else "username"
        raise ConfigError(f"[kafka] {missing}: found none with sasl_mechanism {settings.sasl_mechanism}; expected one")
    if settings.sasl_mechanism != "PLAIN":  # kafka-python (3.0.12) leaves this to us; RFC 5802, section 5.1
        username = username.replace("=", "=3D").replace(",", "=2C")
    return {"sasl_plain_username": username, "sasl_plain_password": _Hidden(settings.password)}


def _kerberos_options(settings: KafkaSettings) -> dict[str, Any]:
    _require_package("gssapi", "GSSAPI")
    domain = settings.kerberos_domain
    return {
        "sasl_kerberos_service_name": settings.kerberos_service,
        **({} if domain is None else {"sasl_kerberos_domain_name": domain}),
    }


def _token_options(settings: KafkaSettings) -> dict[str, Any]:
    if settings.token_file is None:
        raise ConfigError("[kafka] token_file: found none with sasl_mechanism OAUTHBEARER; expected one")
    provider = _TokenFile(Path(settings.token_file))
    provider.token()
    return {"sasl_oauth_token_provider": provider}


def _aws_options(settings: KafkaSettings) -> dict[str, Any]:
    """None: credentials and region come from where AWS's own tools look for them."""
    if settings.security != "sasl_ssl":
        raise ConfigError(
            f"[kafka] security: found {settings.security!r} with sasl_mechanism AWS_MSK_IAM; expected sasl_ssl"
        )
    _require_package("botocore", "AWS_MSK_IAM")
    return {}


def _require_package(name: str, mechanism: str) -> None:
    if importlib.util.find_spec(name) is None:
        raise ConfigError(
            f"[kafka] sasl_mechanism: found {mechanism}, but not the package {name} that it needs; expected it to be "
            f"installed: pip install {name}"
        )


_MECHANISMS = {
    "PLAIN": _password_options,
    "SCRAM-SHA-256": _password_options,
    "SCRAM-SHA-512": _password_options,
    "GSSAPI": _kerberos_options,
    "OAUTHBEARER": _token_options,
    "AWS_MSK_IAM": _aws_options,
}


@contextmanager
def told_as_feed_error(what: str, settings: KafkaSettings | None = None) -> Iterator[None]:
    """Tells kafka-python's errors as Driftline's within the block.

    Args:
        what: was being done, as a phrase.

    Raises:
        FeedError: anything that Kafka or the way to it has caused.
        ConfigError: what only another configuration can put right.
    """
    try:
        yield
    except errors.FencedInstanceIdError as exc:
        raise FencedError(
            f"{what}: found another process that goes by this one's instance; expected each to have its own: give them "
            "different names by instance in [kafka]"
        ) from exc
    except (
        errors.SaslAuthenticationFailedError, errors.UnsupportedSaslMechanismError,
        errors.IllegalSaslStateError,
    ) as exc:  # fmt: skip
        raise ConfigError(f"{what}: found authentication refused ({_text(exc)}); expected other credentials") from exc
    except errors.AuthorizationError as exc:
        raise ConfigError(f"{what}: {no_permission(exc)}") from exc
    except errors.InvalidTopicError as exc:
        raise ConfigError(f"{what}: found a name that no topic can have ({_text(exc)}); expected another") from exc
    except (errors.KafkaConnectionError, errors.KafkaTimeoutError, OSError) as exc:
        where = ", ".join(settings.bootstrap) if settings else "the brokers"
        raise FeedError(
            f"{what}: found no answer from {where} ({_text(exc)}); expected a broker there: see whether it is up, and "
            "whether bootstrap in [kafka] is right"
        ) from exc
    except errors.UnknownTopicOrPartitionError as exc:
        raise FeedError(f"{what}: found no such topic ({_text(exc)}); expected it to exist") from exc
    except errors.KafkaError as exc:
        raise FeedError(f"{what}: found {_text(exc)}") from exc


def _text(error: BaseException) -> str:
    name, text = type(error).__name__, cause(error)
    return name if text == name else f"{name}: {text}"
