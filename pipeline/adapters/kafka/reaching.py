"""kafka-python's way to the brokers, made to tell why one is not had.

kafka-python (3.0.12) goes on for 30 s when a broker refuses a client, or a client its certificate, and then tells of a
timeout only; once it has been connected it goes on for ever. What was the matter is kept here.
"""

import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

from kafka import errors
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import create_connection
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

from pipeline.adapters.kafka.probing import ask
from pipeline.adapters.kafka.refusals import cause, misfit, no_permission, refusal
from pipeline.errors import ConfigError

_FIRST_MS = 1_000
"""Behind this time without an answer, brokers are asked how they want to be spoken to."""
_REFUSED_S = 5.0
"""A client that was connected bears refusals for so long: a secret may be changing just now."""
_LATE = errors.KafkaTimeoutError | errors.RequestTimedOutError


class ReachingClient(KafkaNetClient):  # type: ignore[misc]
    """What kafka-python's clients take as `kafka_client`.

    They raise `ConfigError` where only another configuration helps, be it when they are made or later on.
    """

    def __init__(self, **configs: Any) -> None:
        net = _Net(**configs)
        manager = _Manager(net, **configs)
        net.lasting_refusal = manager.lasting_refusal
        super().__init__(net, manager)


class _Net(NetworkSelector):  # type: ignore[misc]
    """Raises what will not pass by itself, in threads that wait for it and not in its own, which would end."""

    lasting_refusal: Callable[[], ConfigError | None]

    def run(self, coro: Any, *args: Any) -> Any:
        """As it comes, unless brokers have been refusing for long."""
        if (refused := self.lasting_refusal()) is not None:
            raise refused
        return super().run(coro, *args)


class _Transport(KafkaTCPTransport):  # type: ignore[misc]
    """Has what came before a broker hung up be heard.

    kafka-python throws away what it reads together with the end of a connection, which is where a broker tells why it
    refuses. The end is there to be read again.
    """

    def _sock_recv(self) -> tuple[bytes, BaseException | None]:
        data, error = super()._sock_recv()
        return data, None if data else error

    async def handshake_until(self, _timeout_at: float | None) -> None:
        """There is none."""


class _TlsTransport(_Transport, KafkaSSLTransport):  # type: ignore[misc]
    async def handshake_until(self, timeout_at: float | None) -> None:
        """Agree with the broker.

        Raises:
            OSError: no agreement.
            KafkaTimeoutError: none in time.
        """
        while True:
            try:
                self._sock.do_handshake()
            except ssl.SSLWantReadError:
                await self._net.wait_read(self._sock, timeout_at)
            except ssl.SSLWantWriteError:
                await self._net.wait_write(self._sock, timeout_at)
            else:
                return


class _Manager(KafkaConnectionManager):  # type: ignore[misc]
    """Remembers how the last attempt to connect to each broker went wrong."""

    def __init__(self, net: NetworkSelector, **configs: Any) -> None:
        self._last: dict[Any, BaseException] = {}
        self._refused: dict[Any, tuple[float, float, ConfigError]] = {}  # first and last time
        self._denied: set[str] = set()
        super().__init__(net, **configs)

    def bootstrap(self, timeout_ms: float | None = None, refresh: bool = True) -> None:  # noqa: FBT001, FBT002
        """Know the brokers of the cluster, or let go of all connections and raise.

        Raises:
            ConfigError: they refuse, or want to be spoken to in another way.
            KafkaConnectionError: none answers.
        """
        self._last.clear()
        self._refused.clear()
        try:
            self._bootstrap(timeout_ms, refresh=refresh)
        except BaseException:
            self.close()
            self._net.close()
            raise

    def _bootstrap(self, timeout_ms: float | None, *, refresh: bool) -> None:
        first_ms = _FIRST_MS if timeout_ms is None else min(_FIRST_MS, timeout_ms)
        try:
            try:
                super().bootstrap(first_ms, refresh)
            except errors.KafkaTimeoutError:
                self._require_fitting()
                super().bootstrap(None if timeout_ms is None else timeout_ms - first_ms, refresh)
        except ConfigError:
            self._require_fitting()  # which knows better what to do about it
            raise
        except errors.KafkaTimeoutError as exc:
            for refused in self._refusals():  # of one broker, while others do not answer
                raise refused from exc
            told = {
                f"{node.host}:{node.port}": self._last.get(node.node_id) for node in self.cluster.bootstrap_brokers()
            }
            how = "; ".join(f"{where}: {cause(error)}" for where, error in told.items() if error is not None)
            raise errors.KafkaConnectionError(how or "no answer in time") from exc

    def maybe_raise_auth_failure(self, _node_id: Any) -> None:
        """Called before each attempt to connect: ends a bootstrap of which nothing can come."""
        if not self.bootstrapped and all(node.node_id in self._last for node in self.cluster.bootstrap_brokers()):
            for refused in self._refusals():
                raise refused

    def lasting_refusal(self) -> ConfigError | None:
        """Of a broker that has refused every attempt for a while, or of a topic that may not be seen; told once.

        Of the latter kafka-python (3.0.12) tells its log alone, and the member waits for ever.
        """
        denied = self.cluster.unauthorized_topics
        if denied and denied is not self._denied:
            self._denied = denied
            return ConfigError(f"Kafka: {no_permission(errors.TopicAuthorizationFailedError(denied))}")
        for node_id, (first, last, refused) in list(self._refused.items()):
            if self.bootstrapped and last - first > _REFUSED_S:
                self._refused.pop(node_id, None)
                return refused
        return None

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        """As kafka-python's, but it closes what it gives up, and does not wait for ever for a handshake."""
        config = self.config
        sock = await create_connection(
            self._net,
            node.host,
            node.port,
            config["socket_options"],
            proxy_url=config["proxy_url"],
            timeout_at=timeout_at,
        )
        try:
            if self.ssl_enabled:
                options = {key: value for key, value in config.items() if key.startswith("ssl_")}
                transport = _TlsTransport(self._net, sock, host=node.host, **options)
            else:
                transport = _Transport(self._net, sock, host=node.host)
        except BaseException:  # a certificate that is no longer there, for one
            sock.close()
            raise
        try:
            await transport.handshake_until(timeout_at)
        except Exception as exc:
            transport.abort()
            raise errors.KafkaConnectionError(f"Handshake failed: {exc}") from exc
        return transport

    async def _connect(self, node: Any, conn: Any, *args: Any, **kwargs: Any) -> None:
        await super()._connect(node, conn, *args, **kwargs)
        error = conn.init_future.exception
        refused = None if error is None else refusal(error, f"{node.host}:{node.port}", self.config)
        if error is None:
            self._last.pop(node.node_id, None)
        elif refused is not None or node.node_id not in self._last or not isinstance(error, _LATE):
            self._last[node.node_id] = refused or error
        if refused is None:
            self._refused.pop(node.node_id, None)
        else:
            now = time.monotonic()
            first, _, _ = self._refused.get(node.node_id, (now, now, refused))
            self._refused[node.node_id] = first, now, refused

    def _refusals(self) -> Iterator[ConfigError]:
        return (error for error in list(self._last.values()) if isinstance(error, ConfigError))

    def _require_fitting(self) -> None:
        """Ask the brokers how they want to be spoken to.

        Raises:
            ConfigError: in another way.
        """
        config = self.config
        certificate = None
        if self.ssl_enabled and config["ssl_certfile"]:
            certificate = config["ssl_certfile"], config["ssl_keyfile"], config["ssl_password"]
        for node in self.cluster.bootstrap_brokers():
            spoken = ask(node.host, node.port, certificate)
            if spoken is not None and (told := misfit(spoken, config)):
                raise ConfigError(f"Kafka at {node.host}:{node.port}: {told}")
