"""From the configuration to the settings of the Kafka adapter; secrets are read from their files here."""

from pathlib import Path

from pydantic import SecretStr

from pipeline.adapters.kafka.connection import KafkaSettings
from pipeline.config.kafka import KafkaSection
from pipeline.errors import ConfigError


def settings_from(kafka: KafkaSection, bootstrap: tuple[str, ...] | None = None) -> KafkaSettings:
    """How Kafka is reached.

    Args:
        bootstrap: brokers instead of those configured.

    Raises:
        ConfigError: a secret given twice, or a file of one that cannot be read or is empty.
    """
    return KafkaSettings(
        bootstrap=bootstrap or kafka.bootstrap,
        client=kafka.client,
        security=kafka.security,
        ca_file=kafka.ca_file,
        cert_file=kafka.cert_file,
        key_file=kafka.key_file,
        key_password=_secret("key_password", kafka.key_password, kafka.key_password_file),
        check_hostname=kafka.check_hostname,
        sasl_mechanism=kafka.sasl_mechanism,
        username=kafka.username,
        password=_secret("password", kafka.password, kafka.password_file),
        kerberos_service=kafka.kerberos_service,
        kerberos_domain=kafka.kerberos_domain,
        token_file=kafka.token_file,
    )


def _secret(name: str, value: SecretStr | None, file: str | None) -> str | None:
    if file is None:
        return None if value is None else value.get_secret_value()
    if value is not None:
        raise ConfigError(f"[kafka] {name}: found it as well as {name}_file; expected one of them")
    try:
        secret = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"[kafka] {name}_file: found no readable file {file}; expected one with the secret") from exc
    if not secret:
        raise ConfigError(f"[kafka] {name}_file: found {file} empty; expected the secret in it")
    return secret
