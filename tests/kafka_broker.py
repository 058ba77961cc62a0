"""A real Apache Kafka broker of one node on loopback: for `make broker` and for the tests.

The jars are resolved from Maven Central by deploy/kafka/pom.xml, once per version of that file, into the user's cache.

`python -m tests.kafka_broker` runs a broker until Ctrl-C; `--fetch` only fetches the jars.
"""

import argparse
import base64
import hashlib
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaError

from tests.processes import owned, program, scratch

POM = Path(__file__).parents[1] / "deploy" / "kafka" / "pom.xml"
OLDEST_JAVA = 17
START_S = 180.0
"""On a busy machine; mostly it takes a few seconds."""
_READ_S = 300.0
_READERS = 3
_IDLE_MS = (1_500, 6_000, 30_000)
"""The console consumer ends when nothing has come for so long; tried in turn, as a busy machine may take its time."""
_HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "message.max.bytes": str(24 * 2**20),
    "replica.fetch.max.bytes": str(24 * 2**20),
    "log.cleaner.backoff.ms": "500",
    "log.retention.check.interval.ms": "2000",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": str(2**21),
}


class Committed(NamedTuple):
    """A message as a reader of committed ones sees it; time of writing left out, as it differs from run to run."""

    key: str
    value: str
    headers: str


class BrokerError(Exception):
    """The broker cannot be had; the message says what was found, expected and to be done."""


def lacking() -> str:
    """What is missing to have a broker, or ''."""
    if os.environ.get("DRIFTLINE_TEST_KAFKA"):
        return ""
    java, maven = shutil.which("java"), shutil.which("mvn")
    if java is None or (not _jars_path().exists() and maven is None):
        missing = "Java" if java is None else "Maven"
        return f"found no {missing}; expected Java {OLDEST_JAVA} and Maven, or DRIFTLINE_TEST_KAFKA=host:port"
    found = _java_version(java)
    if found < OLDEST_JAVA:
        return f"found Java {found}; expected Java {OLDEST_JAVA} or newer, or DRIFTLINE_TEST_KAFKA=host:port"
    return ""


def _java_version(java: str) -> int:
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(\d+)', told)
    return int(match[1]) if match else 0


def _jars_path() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "driftline" / "kafka" / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]


def fetch_jars() -> Path:
    """Folder of the broker's jars, resolved if they are not there yet.

    Raises:
        BrokerError: Maven is missing or fails.
    """
    path = _jars_path()
    if path.exists():
        return path
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerError("found no Maven; expected mvn on PATH to fetch Apache Kafka's jars: install Maven")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        partial = Path(name) / "jars"
        done = subprocess.run(
            [maven, "-q", "-B", "-f", POM, "dependency:copy-dependencies", f"-DoutputDirectory={partial}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BrokerError(f"found Maven failing: {(done.stdout + done.stderr).strip()[-500:]}")
        try:
            partial.rename(path)
        except OSError:  # another process was faster
            if not path.exists():
                raise
    return path


def free_port() -> int:
    """A port of loopback that nobody listens on just now, and that no system gives to a connection by itself."""
    dice = random.SystemRandom()
    while True:
        port = dice.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Broker:
    """A broker process with its data in a folder, which ends with the test or program that starts it.

    Args:
        directory: for data, configuration and log.
        port: of loopback; 0 for a free one.
        extra: server properties beside and before the usual.
        listeners: names of more listeners on loopback, which are their protocols; see `address`.
        format_arguments: for `kafka-storage format`, such as users to add.
    """

    def __init__(
        self,
        directory: Path,
        port: int = 0,
        extra: Mapping[str, str] | None = None,
        *,
        listeners: Sequence[str] = (),
        format_arguments: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self._extra = extra or {}
        self._listeners = {name: free_port() for name in listeners}
        self._format_arguments = format_arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._jars = fetch_jars()
        self._controller = free_port()
        self._cluster = base64.urlsafe_b64encode(b"driftline" + secrets.token_bytes(7)).rstrip(b"=").decode()

    @property
    def bootstrap(self) -> str:
        """Where clients reach it."""
        return f"127.0.0.1:{self.port}"

    def address(self, listener: str, host: str = "localhost") -> str:
        """Where clients reach one of the more listeners."""
        return f"{host}:{self._listeners[listener]}"

    @property
    def log(self) -> str:
        """The end of what it has told."""
        path = self.directory / "broker.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Be reachable.

        Raises:
            BrokerError: somebody else is at its port, it ended, or it did not answer in time.
        """
        self._require_free_ports()
        properties = self.directory / "server.properties"
        if not properties.exists():
            self._format(properties)
        with (self.directory / "broker.log").open("ab") as log:
            command = self._java("kafka.Kafka", str(properties), heap=_HEAP)
            self._process = owned(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise BrokerError(f"found the broker not answering at {self.bootstrap}; its log ends: {self.log}")
            time.sleep(0.1)

    def _require_free_ports(self) -> None:
        for port in (self.port, *self._listeners.values(), self._controller):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # those who have just left are no matter
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as exc:
                    raise BrokerError(
                        f"found port {port} of 127.0.0.1 taken ({exc.strerror}); expected it free: end what listens "
                        "there, or choose another"
                    ) from exc

    def _format(self, properties: Path) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        settings = _PROPERTIES | {
            "listeners": ",".join([
                f"PLAINTEXT://127.0.0.1:{self.port}",
                *(f"{name}://127.0.0.1:{port}" for name, port in self._listeners.items()),
                f"CONTROLLER://127.0.0.1:{self._controller}",
            ]),
            "advertised.listeners": ",".join([
                f"PLAINTEXT://127.0.0.1:{self.port}",
                *(f"{name}://localhost:{port}" for name, port in self._listeners.items()),
            ]),
            "listener.security.protocol.map": ",".join([
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT", *(f"{name}:{name}" for name in self._listeners),
            ]),
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller}",
            "log.dirs": str(self.directory / "data"),
        }  # fmt: skip
        settings |= self._extra
        properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        command = self._java(
            "kafka.tools.StorageTool",
            "format",
            "-t",
            self._cluster,
            "-c",
            str(properties),
            *self._format_arguments,
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            properties.unlink()
            raise BrokerError(f"found the storage not formatted: {(done.stdout + done.stderr)[-500:]}")

    def _java(self, *arguments: str, heap: Sequence[str] = ("-Xmx256m", "-XX:+UseSerialGC")) -> list[str]:
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return ["java", *heap, "-XX:TieredStopAtLevel=1", quiet, "-cp", f"{self._jars}/*", *arguments]

    def _answers(self) -> bool:
        """Whether it is up, and it is this one that answers."""
        try:
            socket.create_connection(("127.0.0.1", self.port), 1.0).close()
            admin: Any = KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=10_000)
        except Exception:  # noqa: BLE001  whatever it is, the broker is not up yet
            return False
        try:
            return bool(admin.describe_cluster()["cluster_id"] == self._cluster)
        except KafkaError:
            return False
        finally:
            admin.close()

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it where it is: connections stay, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(number)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


def create_topic(bootstrap: str, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> None:
    """Make a topic and wait until it is known."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.create_topics([NewTopic(name, partitions, 1, topic_configs=dict(config or {}))])
        admin.wait_for_topics([name])
    finally:
        admin.close()


def send(bootstrap: str, topic: str, records: Iterable[tuple[int, bytes | None, bytes | None]], **options: Any) -> None:
    """Produce (partition, key, value) and wait until all are there."""
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, linger_ms=20, batch_size=2**18, max_request_size=24 * 2**20, **options
    )
    try:
        last = [producer.send(topic, value, key, partition=partition) for partition, key, value in records]
        producer.flush()
        for future in last:
            future.get(120)
    finally:
        producer.close()


_BETWEEN, _BEHIND = "\x1f", "\x1e\n"
_LINE = re.compile(rf"Partition:(\d+){_BETWEEN}Offset:(\d+){_BETWEEN}(.*?){_BETWEEN}(.*?){_BETWEEN}(.*)", re.DOTALL)


def read_to_end(bootstrap: str, topic: str) -> list[Any]:
    """Messages that a topic holds for readers of committed ones, as kafka-python finds them."""
    consumer: Any = KafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False
    )
    try:
        places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        found = []
        deadline = time.monotonic() + _READ_S
        while any(consumer.position(place) < ends[place] for place in places):
            if time.monotonic() > deadline:
                raise BrokerError(f"found no end of {topic} in {_READ_S:.0f} s")
            found += [message for messages in consumer.poll(timeout_ms=200).values() for message in messages]
        return found
    finally:
        consumer.close()


def read_committed(bootstrap: str, *topics: str) -> list[dict[int, list[Committed]]]:
    """What each topic holds for readers of committed messages, by partition in order.

    Kafka's own console consumer reads it, several topics at a time, since it mostly waits. Text is UTF-8; bytes that
    are none come out replaced.

    Raises:
        BrokerError: it finds fewer messages than kafka-python does, however long it waits for more.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(lambda topic: _read_committed(bootstrap, topic), topics))


def _read_committed(bootstrap: str, topic: str) -> dict[int, list[Committed]]:
    least, count = len(read_to_end(bootstrap, topic)), 0
    for idle_ms in _IDLE_MS:
        found = _consume(bootstrap, topic, idle_ms)
        count = sum(map(len, found.values()))
        if count >= least:
            return found
    raise BrokerError(f"found {count} messages in {topic} by the console consumer; expected {least}")


def _consume(bootstrap: str, topic: str, idle_ms: int) -> dict[int, list[Committed]]:
    command = [
        "java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8",
        "-cp", f"{fetch_jars()}/*",
        "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", bootstrap, "--topic", topic,
        "--from-beginning", "--isolation-level", "read_committed", "--timeout-ms", str(idle_ms),
    ]  # fmt: skip
    for name, value in {
        "print.partition": "true", "print.offset": "true", "print.headers": "true", "print.key": "true",
        "print.value": "true", "line.separator": _BEHIND, "key.separator": _BETWEEN,
    }.items():  # fmt: skip
        command += ["--property", f"{name}={value}"]
    done = subprocess.run(command, capture_output=True, check=False)
    lines = done.stdout.decode(errors="replace").split(_BEHIND)
    found: dict[int, list[tuple[int, Committed]]] = {}
    for line in lines[:-1]:
        match = _LINE.fullmatch(line)
        if match is None:
            raise BrokerError(f"found the line {line[:200]!r} from the console consumer; expected a message")
        partition, offset, headers, key, value = match.groups()
        found.setdefault(int(partition), []).append((int(offset), Committed(key, value, headers)))
    return {partition: [one for _, one in sorted(found[partition], key=lambda pair: pair[0])] for partition in found}


def main() -> int:
    """Run a broker in the foreground."""
    parser = argparse.ArgumentParser(description="A broker on loopback, until Ctrl-C.")
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--fetch", action="store_true", help="only fetch the jars")
    options = parser.parse_args()
    if reason := lacking():
        print(reason, file=sys.stderr)
        return 2
    fetch_jars()
    if options.fetch:
        return 0
    with scratch() as directory:
        broker = Broker(directory, options.port)
        began = time.monotonic()
        try:
            broker.start()
        except BrokerError as exc:
            print(exc, file=sys.stderr)
            return 1
        told_to_stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: told_to_stop.set())
        print(f"broker at {broker.bootstrap}, started in {time.monotonic() - began:.1f} s; Ctrl-C ends it", flush=True)
        told_to_stop.wait()
        broker.stop()
    return 0


if __name__ == "__main__":
    with program():
        sys.exit(main())
