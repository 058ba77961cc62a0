"""Runs an image of Driftline as deploy/README.md tells to, by docker or podman, for tests."""

import json
import os
import shlex
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

CONFINED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp:mode=1777")  # noqa: S108  in it
"""Options under which images run, by deploy/README.md."""
CACHE = "/var/cache/driftline"
MODELS = "/var/lib/driftline/models"
CONFIG = "/etc/driftline/driftline.toml"


def find_engine() -> str | None:
    """Path of the engine for containers: DRIFTLINE_ENGINE where it is set, else the first that is installed."""
    named = os.environ.get("DRIFTLINE_ENGINE")
    return next(filter(None, map(shutil.which, [named] if named else ["docker", "podman"])), None)


def lacking() -> str:
    """What is missing for the tests of an image, or '' when nothing is."""
    image, engine = os.environ.get("DRIFTLINE_IMAGE"), find_engine()
    if not image:
        return "found no DRIFTLINE_IMAGE; expected an image of Driftline: `make image` builds one and tests it"
    if engine is None:
        return "found no engine for containers; expected docker or podman on PATH, or one in DRIFTLINE_ENGINE"
    done = subprocess.run([engine, "image", "inspect", image], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason"])[-1]
        return f"{engine} found no image {image}: {reason}; expected one: `make image` builds it"
    return ""


class Image:
    """An image, confined and on the network of the host.

    Args:
        name: as the engine knows it.
    """

    def __init__(self, name: str) -> None:
        engine = find_engine()
        assert engine is not None
        self._engine = engine
        self._name = name
        # what this machine's engine asks for besides, such as other limits than its own
        self._options = [*CONFINED, "--network", "host", *shlex.split(os.environ.get("DRIFTLINE_ENGINE_ARGS", ""))]

    def call(self, *arguments: str | Path, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
        """The engine's answer."""
        return subprocess.run(
            [self._engine, *arguments], capture_output=True, text=True, check=False, timeout=timeout_s
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What the image says of itself: user, entry point, health check."""
        (told,) = json.loads(self.call("image", "inspect", self._name).stdout)
        found: dict[str, Any] = told["Config"]
        # podman keeps it beside the rest
        if "HealthCheck" in told or "Healthcheck" in told:
            found["Healthcheck"] = told.get("Healthcheck") or told.get("HealthCheck")
        return found

    def run(self, *arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """A container that is gone when it has ended; `options` are those of the engine."""
        return self.call("run", "--rm", *self._options, *options, self._name, *arguments)


class Container:
    """A container of `serve` that can be stopped and started again, with a volume of compiled kernels.

    Args:
        volume: name of that volume.
        config: configuration of the service.
    """

    def __init__(self, image: Image, volume: str, config: Path) -> None:
        self._image = image
        self.name = f"driftline-test-{uuid.uuid4().hex[:8]}"
        mounts = ("--volume", f"{volume}:{CACHE}", "--volume", f"{config}:{CONFIG}:ro,z")
        options = (*image._options, "--name", self.name, *mounts)
        self._must("create", *options, image._name, "serve", "--config", CONFIG)

    def _must(self, *arguments: str) -> str:
        done = self._image.call(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def start(self) -> None:
        """Start it, for the first time or again."""
        self._must("start", self.name)

    def execute(self, *command: str) -> int:
        """Exit status of a command in it."""
        return self._image.call("exec", self.name, *command).returncode

    @property
    def told(self) -> str:
        """What it has written, all of its runs."""
        done = self._image.call("logs", self.name)
        return done.stdout + done.stderr

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._must("container", "inspect", "--format", "{{.State.Running}}", self.name).strip() == "true"

    @property
    def exit_status(self) -> int:
        """Of its last run."""
        return int(self._must("container", "inspect", "--format", "{{.State.ExitCode}}", self.name))

    def stop(self) -> int:
        """Exit status, having asked it to stop."""
        self._must("stop", "--time", "60", self.name)
        return self.exit_status

    def kill(self) -> None:
        """End it at once."""
        self._must("kill", self.name)
        self._must("wait", self.name)

    def remove(self) -> None:
        """Leave nothing of it."""
        self._image.call("rm", "--force", self.name)
