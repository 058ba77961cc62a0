"""A broker that speaks TLS and every SASL mechanism that needs no foreign service, and what clients need for it."""

import base64
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka.admin import ACL, ACLFilter

from tests.kafka_broker import Broker

MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
USER, GUEST, PASSWORD = "alice", "guest", "hunter2 &= staple"
"""The user may do everything, the guest only what ACLs allow; both have the same password."""
_SASL_LISTENERS = ("SASL_PLAINTEXT", "SASL_SSL")
_AS_CA = ("-addext", "basicConstraints=critical,CA:TRUE")


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM: an authority, a server and a client that it vouches for, and an authority that is foreign."""

    directory: Path

    @classmethod
    def make(cls, directory: Path) -> "Certificates":
        """New ones; the server's is for the name localhost alone."""
        directory.mkdir(parents=True, exist_ok=True)
        made = cls(directory)
        for name in ("ca", "foreign"):
            made._openssl(
                "req", "-x509", "-nodes", *_ec(), "-days", "2", "-subj", f"/CN={name}", *_AS_CA,
                "-keyout", f"{name}.key", "-out", f"{name}.pem",
            )  # fmt: skip
        for name, extension in {
            "server": "subjectAltName=DNS:localhost",
            "client": "extendedKeyUsage=clientAuth",
        }.items():
            made._openssl(
                "req", "-x509", "-nodes", *_ec(), "-days", "2", "-subj", f"/CN={name}", "-addext", extension,
                "-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", f"{name}.key", "-out", f"{name}.pem",
            )  # fmt: skip
        made._openssl(
            "pkcs8", "-topk8", "-in", "client.key", "-out", "client-locked.key", "-passout", f"pass:{PASSWORD}"
        )
        store = (directory / "server.key").read_text() + (directory / "server.pem").read_text()
        (directory / "server-store.pem").write_text(store)
        return made

    def path(self, name: str) -> str:
        """Of one of them, such as ca.pem or client.key."""
        return str(self.directory / name)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)


def _ec() -> tuple[str, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def unsecured_token(subject: str, lifetime_s: float = 3600.0) -> str:
    """A token that nobody has signed, as Kafka's handler for development takes it: a JWS with alg none."""
    now = time.time()
    parts = {"alg": "none"}, {"sub": subject, "iat": now - 60, "exp": now + lifetime_s}
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, ""])


def wait_for_acl(admin: Any, acl: ACL) -> None:
    """Until the broker heeds an ACL that has been made; the controller, which answers for it, knows it before."""
    deadline = time.monotonic() + 60
    one = ACLFilter(acl.principal, acl.host, acl.operation, acl.permission_type, acl.resource_pattern)
    while not admin.describe_acls(one):
        if time.monotonic() > deadline:
            raise AssertionError(f"found no {acl} in a minute")
        time.sleep(0.05)
    time.sleep(0.1)


def secure_broker(directory: Path, certificates: Certificates) -> Broker:
    """A broker with the listeners SSL (asks for a client's certificate), SASL_PLAINTEXT and SASL_SSL, and ACLs."""
    return Broker(
        directory,
        extra=_properties(certificates),
        listeners=("SSL", *_SASL_LISTENERS),
        format_arguments=[
            argument
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for user in (USER, GUEST)
            for argument in ("--add-scram", f'{mechanism}=[name={user},password="{PASSWORD}",iterations=4096]')
        ],
    )


def _properties(certificates: Certificates) -> dict[str, str]:
    modules = "org.apache.kafka.common.security"
    plain = " ".join(f'user_{user}="{PASSWORD}"' for user in (USER, GUEST))
    logins = {
        "plain": f"{modules}.plain.PlainLoginModule required {plain};",
        "scram-sha-256": f"{modules}.scram.ScramLoginModule required;",
        "scram-sha-512": f"{modules}.scram.ScramLoginModule required;",
        "oauthbearer": (
            f'{modules}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'
        ),
    }
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": certificates.path("server-store.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": certificates.path("ca.pem"),
        "listener.name.ssl.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        **{
            f"listener.name.{listener.lower()}.{mechanism}.sasl.jaas.config": login
            for listener in _SASL_LISTENERS
            for mechanism, login in logins.items()
        },
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:{USER};User:CN=client",
    }
