"""How Kafka is reached: settings, as options of kafka-python's clients, and its errors as Driftline's."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka import errors
from kafka.net.sasl.oauth import AbstractTokenProvider

from pipeline.errors import ConfigError, FeedError

_BROKER = re.compile(r"(\[[0-9a-fA-F:.%\w]+\]|[^\s:/\[\]]+)(:\d{1,5})?")
_TOLD_BY_BROKER = re.compile(r"""error_message=(?:'([^']*)'|"([^"]*)")""")
_LONGEST_TOLD = 300


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


class _TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    """The token in a file, as it is when a connection is made."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def token(self) -> str:
        """Its text, without blanks around it."""
        return self._path.read_text(encoding="utf-8").strip()


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options that consumers, producers and admin clients have in common.

    Raises:
        ConfigError: settings that do not go together, or files that cannot be read.
    """
    for broker in settings.bootstrap:
        if not _BROKER.fullmatch(broker):
            raise ConfigError(f"[kafka] bootstrap: found {broker!r}; expected host:port, such as localhost:9092")
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.bootstrap),
        "client_id": settings.client,
        "security_protocol": settings.security.upper(),
    }
    if settings.security in {"ssl", "sasl_ssl"}:
        options |= _tls_options(settings)
    if settings.security.startswith("sasl_"):
        options |= _sasl_options(settings)
    elif settings.sasl_mechanism is not None:
        raise ConfigError(
            f"[kafka] sasl_mechanism: found {settings.sasl_mechanism} with security {settings.security!r}; "
            "expected security sasl_ssl or sasl_plaintext"
        )
    return options


def _tls_options(settings: KafkaSettings) -> dict[str, Any]:
    files = {"ssl_cafile": settings.ca_file, "ssl_certfile": settings.cert_file, "ssl_keyfile": settings.key_file}
    for name, path in files.items():
        if path is not None and not Path(path).is_file():
            key = name.replace("ssl_", "").replace("file", "_file")
            raise ConfigError(f"[kafka] {key}: found no file {path}; expected one in PEM")
    return {
        **{name: path for name, path in files.items() if path is not None},
        **({} if settings.key_password is None else {"ssl_password": settings.key_password}),
        "ssl_check_hostname": settings.check_hostname,
    }


def _sasl_options(settings: KafkaSettings) -> dict[str, Any]:
    mechanism = settings.sasl_mechanism
    if mechanism is None:
        raise ConfigError(f"[kafka] sasl_mechanism: found none with security {settings.security!r}; expected one")
    options: dict[str, Any] = {"sasl_mechanism": mechanism}
    if mechanism in {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}:
        if settings.username is None or settings.password is None:
            missing = "username" if settings.username is None else "password"
            raise ConfigError(f"[kafka] {missing}: found none with sasl_mechanism {mechanism}; expected one")
        options |= {"sasl_plain_username": settings.username, "sasl_plain_password": settings.password}
    elif mechanism == "GSSAPI":
        options["sasl_kerberos_service_name"] = settings.kerberos_service
        if settings.kerberos_domain is not None:
            options["sasl_kerberos_domain_name"] = settings.kerberos_domain
    elif mechanism == "OAUTHBEARER":
        if settings.token_file is None or not Path(settings.token_file).is_file():
            raise ConfigError(f"[kafka] token_file: found {settings.token_file!r}; expected a file with a token")
        options["sasl_oauth_token_provider"] = _TokenFile(Path(settings.token_file))
    return options


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
    except (
        errors.SaslAuthenticationFailedError, errors.UnsupportedSaslMechanismError,
        errors.IllegalSaslStateError,
    ) as exc:  # fmt: skip
        raise ConfigError(f"{what}: found authentication refused ({_text(exc)}); expected other credentials") from exc
    except errors.AuthorizationError as exc:
        raise ConfigError(f"{what}: found no permission ({_text(exc)}); expected an ACL that allows it") from exc
    except (errors.KafkaConnectionError, errors.KafkaTimeoutError, OSError) as exc:
        where = ", ".join(settings.bootstrap) if settings else "the brokers"
        raise FeedError(f"{what}: found no answer from {where} ({_text(exc)}); expected a broker there") from exc
    except errors.UnknownTopicOrPartitionError as exc:
        raise FeedError(f"{what}: found no such topic ({_text(exc)}); expected it to exist") from exc
    except errors.KafkaError as exc:
        raise FeedError(f"{what}: found {_text(exc)}") from exc


def _text(error: BaseException) -> str:
    """Kind and words of an error, the broker's own where it has some, in one line."""
    kind, words = type(error).__name__, " ".join(str(error).split())
    if told := _TOLD_BY_BROKER.search(words):
        words = told[1] or told[2]
    words = words.removeprefix(f"{kind}: ").removeprefix(kind)
    if len(words) > _LONGEST_TOLD:
        words = f"{words[:_LONGEST_TOLD]}..."
    return f"{kind}: {words}" if words else kind
