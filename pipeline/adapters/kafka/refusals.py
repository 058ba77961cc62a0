"""What brokers have against a client, in words that say what to configure."""

import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from kafka import errors

from pipeline.adapters.kafka.probing import Spoken
from pipeline.errors import ConfigError

_TOLD_BY_BROKER = re.compile(r"""error_message=(?:'([^']*)'|"([^"]*)")""")
_LONGEST = 300
_CREDENTIALS = {
    "PLAIN": "username and password",
    "SCRAM-SHA-256": "username and password",
    "SCRAM-SHA-512": "username and password",
    "OAUTHBEARER": "the token in token_file",
    "GSSAPI": "kerberos_service, kerberos_domain and that kinit has been run",
    "AWS_MSK_IAM": "the AWS credentials and AWS_DEFAULT_REGION in the environment",
}

_REFUSED_OPERATIONS = {
    errors.TopicAuthorizationFailedError: "topic",
    errors.GroupAuthorizationFailedError: "group",
    errors.TransactionalIdAuthorizationFailedError: "transactional id",
    errors.ClusterAuthorizationFailedError: "the cluster",
}


def misfit(spoken: Spoken, config: Mapping[str, Any]) -> str:
    """What is wrong with how a broker is spoken to, given how it wants to be; '' where nothing is."""
    security = config["security_protocol"].lower()
    if spoken.security != security:
        among = f" and sasl_mechanism out of {', '.join(spoken.mechanisms)}" if spoken.mechanisms else ""
        more = ", with cert_file and key_file" if spoken.certificate else ""
        return (
            f"found security {security!r} in [kafka], which is not what is spoken there; expected "
            f"{spoken.security!r}{among}{more}"
        )
    if spoken.mechanisms and config["sasl_mechanism"] not in spoken.mechanisms:
        return (
            f"found sasl_mechanism {config['sasl_mechanism']} in [kafka], which is not taken there; expected one of "
            f"{', '.join(spoken.mechanisms)}"
        )
    if spoken.certificate:
        return "found no certificate to show, which is asked for there; expected cert_file and key_file in [kafka]"
    return ""


def refusal(error: BaseException, where: str, config: Mapping[str, Any]) -> ConfigError | None:
    """What a failed attempt to connect says, where only another configuration helps."""
    if isinstance(error, ConfigError):
        return error
    tls = next((one for one in _chain(error) if isinstance(one, ssl.SSLError)), None)
    told = _told_tls(tls) if tls is not None else _told_sasl(error, config["sasl_mechanism"])
    if not told:
        return None
    refused = ConfigError(f"Kafka at {where}: {told}")
    refused.__cause__ = error
    return refused


def _told_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if "mismatch" in error.verify_message:
            wanted = "the name that bootstrap has to be in it, or check_hostname = false in [kafka]"
        else:
            wanted = "one that ca_file in [kafka] vouches for"
        return f"found a certificate of the broker that is not trusted ({error.verify_message}); expected {wanted}"
    reason = str(error.reason)
    if "ALERT" in reason and ("CERT" in reason or "UNKNOWN_CA" in reason):
        words = reason.split("ALERT_", 1)[-1].replace("_", " ").lower()
        return (
            f"found the broker refusing this client's certificate ({words}); expected another by cert_file and "
            "key_file in [kafka]"
        )
    return ""


def _told_sasl(error: BaseException, mechanism: str | None) -> str:
    wanted = f"others: check {_CREDENTIALS.get(mechanism or '', 'sasl_mechanism')}"
    if isinstance(error, errors.UnsupportedSaslMechanismError | errors.IllegalSaslStateError):
        return f"found sasl_mechanism {mechanism} refused ({cause(error)}); expected another"
    if isinstance(error, errors.SaslAuthenticationFailedError):
        return f"found the credentials refused ({cause(error)}); expected {wanted}"
    # the mechanisms' own libraries raise what they like
    passing = isinstance(error, errors.KafkaError | OSError) and not isinstance(error, errors.KafkaConfigurationError)
    if mechanism is not None and not passing:
        return f"found authentication by {mechanism} failing ({cause(error)}); expected {wanted}"
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it was raised for."""
    while error is not None:
        yield error
        yield from (one for one in error.args if isinstance(one, BaseException))
        error = error.__cause__ or error.__context__


def cause(error: BaseException) -> str:
    """What an error of kafka-python's says: the broker's own words where it has some, on one line of bounded length.

    The number and the name that kafka-python puts before that are left out.
    """
    text = " ".join(str(error).split())
    if told := _TOLD_BY_BROKER.search(text):
        text = told[1] or told[2]
    for prefix in (f"[Error {getattr(error, 'errno', None)}] ", f"{type(error).__name__}: "):
        text = text.removeprefix(prefix)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}..."
    return text or type(error).__name__


def no_permission(error: errors.AuthorizationError, name: str = "") -> str:
    """What is told of something that ACLs do not allow.

    Args:
        name: of what was asked for, where the error does not bear it.
    """
    kind = _REFUSED_OPERATIONS.get(type(error), type(error).__name__)
    asked = error.args[0] if error.args and error.args[0] != error.message else name
    if isinstance(asked, set | frozenset | list | tuple):
        asked = ", ".join(sorted(map(str, asked)))
    return f"found no permission for {kind} {asked}".rstrip() + "; expected an ACL that allows it"
