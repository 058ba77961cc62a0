"""The sections on Kafka and its topics: [kafka], [input] and [output]."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, SecretStr

from pipeline.config.section import Section
from pipeline.config.values import Duration, Names, Size


class KafkaSection(Section):
    """How Kafka is reached. Secrets are best given by environment or by file; they are never printed."""

    bootstrap: Names = Field(
        default=("localhost:9092",), description="Brokers to begin with, as host:port, separated by commas."
    )
    group: str = Field(default="driftline", min_length=1, description="Consumer group; its members share the work.")
    instance: str | None = Field(
        default=None,
        description="Name of this member, the same after a restart (static membership): no rebalance when it is back "
        "within the session timeout.",
        examples=["driftline-0"],
    )
    client: str = Field(default="driftline", description="Name by which brokers log this client.")
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        default="plaintext", description="How connections are protected: plaintext, ssl, sasl_plaintext or sasl_ssl."
    )
    ca_file: str | None = Field(default=None, description="Certificates to trust, PEM.", examples=["/etc/kafka/ca.pem"])
    cert_file: str | None = Field(
        default=None, description="Certificate of this client, PEM.", examples=["/etc/kafka/client.pem"]
    )
    key_file: str | None = Field(default=None, description="Its key, PEM.", examples=["/etc/kafka/client.key"])
    key_password: SecretStr | None = Field(default=None, description="Password of that key.", examples=["..."])
    key_password_file: str | None = Field(
        default=None, description="File that holds it.", examples=["/run/secrets/kafka-key-password"]
    )
    check_hostname: bool = Field(default=True, description="Whether a broker's certificate must bear its host's name.")
    sasl_mechanism: (
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "OAUTHBEARER", "AWS_MSK_IAM"] | None
    ) = Field(
        default=None,
        description="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, GSSAPI, OAUTHBEARER or AWS_MSK_IAM.",
        examples=["SCRAM-SHA-512"],
    )
    username: str | None = Field(default=None, description="For PLAIN and SCRAM.", examples=["driftline"])
    password: SecretStr | None = Field(default=None, description="For PLAIN and SCRAM.", examples=["..."])
    password_file: str | None = Field(
        default=None, description="File that holds it.", examples=["/run/secrets/kafka-password"]
    )
    kerberos_service: str = Field(default="kafka", description="For GSSAPI: the brokers' service.")
    kerberos_domain: str | None = Field(
        default=None,
        description="For GSSAPI: host in the brokers' principal, where it is not that of the address.",
        examples=["kafka.example.com"],
    )
    token_file: str | None = Field(
        default=None,
        description="For OAUTHBEARER: file with the token, read anew for every connection.",
        examples=["/run/secrets/kafka-token"],
    )
    session_timeout: Duration = Field(
        default=timedelta(seconds=45), description="Silence after which a member is taken for dead."
    )
    max_poll_interval: Duration = Field(
        default=timedelta(minutes=5), description="Time without a poll after which a member is taken for stuck."
    )
    transaction_timeout: Duration = Field(
        default=timedelta(seconds=15),
        description="Age at which the broker ends a transaction whose member has died; must be several times the "
        "commit interval.",
    )
    fetch_bytes: Size = Field(default=2**24, ge=2**16, description="Most bytes fetched at once from a broker.")
    partition_fetch_bytes: Size = Field(
        default=2**20, ge=2**14, description="Most bytes fetched at once from a partition."
    )
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        default="lz4", description="Of what is written: none, gzip, snappy, lz4 or zstd."
    )


class InputSection(Section):
    """Which records `driftline serve` takes."""

    topics: Names | None = Field(default=None, description="Topics to read.", examples=[["metrics"]])
    pattern: str | None = Field(
        default=None,
        description="Instead: a regular expression that the names of topics to read match.",
        examples=["metrics[.].*"],
    )
    format: Literal["json", "json-array", "json-lines", "arrow"] = Field(
        default="json",
        description="Of a message: 'json' (an object, which is a point in time), or many of them: 'json-array', "
        "'json-lines', 'arrow' (IPC stream of record batches).",
    )
    start: Literal["earliest", "latest"] = Field(
        default="earliest", description="Where a partition is begun that the group has no offset for."
    )
    on_expired: Literal["stop", "continue"] = Field(
        default="stop",
        description="When records behind the committed offset were deleted before they were read: 'stop', or "
        "'continue' with the oldest that there is; either way it is told how many are lost.",
    )
    max_message: Size = Field(
        default=2**24, ge=2**10, description="Longer messages are not decoded but sent to the dead letters."
    )


class OutputSection(Section):
    """Topics that `driftline serve` writes. Partition n of an input topic goes to partition n of these."""

    anomalies: str = Field(default="driftline.anomalies", description="Topic of anomalies.")
    verdicts: str | None = Field(
        default=None, description="Topic of all verdicts; none are written without it.", examples=["driftline.verdicts"]
    )
    dead_letters: str = Field(default="driftline.dead-letters", description="Topic of records that cannot be used.")
    create: bool = Field(default=False, description="Whether topics that are missing are created.")
    replication: int | None = Field(
        default=None,
        ge=1,
        le=9,
        description="Copies of topics created; the broker's default where left out.",
        examples=[3],
    )
    retention: Duration = Field(
        default=timedelta(days=30), description="How long topics created keep what is in them; the state is kept."
    )
