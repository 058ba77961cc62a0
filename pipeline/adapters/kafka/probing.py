"""How a broker wants to be spoken to: asked of it without credentials, by the one request that tells."""

import socket
import ssl
import struct
from dataclasses import dataclass
from typing import Any

_ASKING = 0x64726966
"""Number of our request, which the answer bears too: by it a broker is known from whatever else may listen there."""
_SASL_HANDSHAKE = 17
_ILLEGAL_SASL_STATE = 34
_LONGEST = 2**16


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a listener of a broker expects.

    Attributes:
        tls: whether it speaks TLS.
        mechanisms: of SASL; none where it asks for no authentication by that.
        certificate: whether it asks for a certificate that was not shown.
    """

    tls: bool
    mechanisms: tuple[str, ...] = ()
    certificate: bool = False

    @property
    def security(self) -> str:
        """The value of `security` that goes with it."""
        if self.mechanisms:
            return "sasl_ssl" if self.tls else "sasl_plaintext"
        return "ssl" if self.tls else "plaintext"


def ask(host: str, port: int, certificate: tuple[str, str | None, str] | None, timeout_s: float = 2.0) -> Spoken | None:
    """How it wants to be spoken to; None where no broker answers.

    Args:
        certificate: files of this client's certificate and key, and the password of the latter.
    """
    try:
        with socket.create_connection((host, port), timeout_s) as plain:
            return _ask(plain, tls=False)
    except OSError:
        pass
    try:
        with (
            socket.create_connection((host, port), timeout_s) as plain,
            _context(certificate).wrap_socket(plain) as safe,
        ):
            try:
                return _ask(safe, tls=True)
            except OSError:  # with TLS 1.3 that is when it tells of a certificate that it misses
                return Spoken(tls=True, certificate=certificate is None)
    except OSError as exc:
        is_alert = isinstance(exc, ssl.SSLError) and "ALERT" in str(exc.reason)
        return Spoken(tls=True, certificate=certificate is None) if is_alert else None


def _context(certificate: tuple[str, str | None, str] | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is told it that anybody might not know
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


def _ask(connection: Any, *, tls: bool) -> Spoken:
    """The answer to a request for a mechanism that there is not.

    Raises:
        OSError: no broker answers, or it hangs up.
    """
    request = struct.pack(">hhih2s", _SASL_HANDSHAKE, 1, _ASKING, 2, b"??") + struct.pack(">h1s", 1, b"?")
    connection.sendall(struct.pack(">i", len(request)) + request)
    (length,) = struct.unpack(">i", _read(connection, 4))
    if not 10 <= length <= _LONGEST:
        raise ConnectionError(f"found an answer of {length} bytes; expected that of a broker")
    number, error, count = struct.unpack(">ihi", (answer := _read(connection, length))[:10])
    if number != _ASKING:
        raise ConnectionError("found an answer to something else; expected that of a broker")
    if error == _ILLEGAL_SASL_STATE:
        return Spoken(tls)
    mechanisms, at = [], 10
    for _ in range(count):
        (size,) = struct.unpack_from(">h", answer, at)
        mechanisms.append(answer[at + 2 : at + 2 + size].decode())
        at += 2 + size
    return Spoken(tls, tuple(sorted(mechanisms)))


def _read(connection: Any, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = connection.recv(count - len(got))
        if not more:
            raise ConnectionError("found the connection closed; expected an answer")
        got += more
    return got
