"""A headless Chromium for tests, driven over its debugging pipe: open a page, run script in it, press, click, look.

Needs nothing but the browser itself: two pipes carry JSON commands and answers, each ended by a zero byte.
"""

import base64
import fcntl
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.processes import owned

_TIMEOUT_S = 120.0
"""On a busy machine."""
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
# The browser reads commands from descriptor 3 and writes answers to 4.
_LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class Browser:
    """One page of a running browser.

    Attributes:
        errors: uncaught exceptions and console errors of the page so far.
        requests: addresses that the page asked for, the page itself included.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._unread = b""
        self._sent = 0
        self._loaded = False
        self._session: str | None = None
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    def open(self, path: Path, *, width: int = 1440, height: int = 900, dark: bool = False) -> None:
        """Opens a file in a window of that size and waits until it has loaded."""
        self.open_url(path.resolve().as_uri(), width=width, height=height, dark=dark)

    def open_url(self, url: str, *, width: int = 1440, height: int = 900, dark: bool = False) -> None:
        """Opens an address in a window of that size and waits until it has loaded."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        narrow = width < 600
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=narrow)
        self._call("Emulation.setTouchEmulationEnabled", enabled=narrow)
        self._loaded = False
        self._call("Page.navigate", url=url)
        deadline = time.monotonic() + _TIMEOUT_S
        while not self._loaded:
            self._handle(self._receive(deadline))

    def run(self, expression: str) -> Any:
        """The value of a script expression, awaited when it is a promise."""
        answer = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Returns once the expression is true."""
        deadline = time.monotonic() + _TIMEOUT_S
        while not self.run(expression):
            assert time.monotonic() < deadline, f"{expression} stayed false for {_TIMEOUT_S:.0f} s"
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        """A mouse click in the middle of the first element that matches, scrolled into sight."""
        left, top, width, height = self.box(selector)
        centre = (left + width / 2, top + height / 2)
        self.drag(centre, centre)

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width and height in the window of the first element that matches, once scrolled into sight."""
        left, top, width, height = self.run(
            f"(async () => {{ const found = document.querySelector({json.dumps(selector)});"
            "found.scrollIntoView({block: 'center'});"
            "for (const _ of [1, 2]) await new Promise(requestAnimationFrame);"  # until the scroll has been told
            "const box = found.getBoundingClientRect(); return [box.x, box.y, box.width, box.height]; })()"
        )
        return left, top, width, height

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Presses the mouse at one place of the window and lets go at another."""
        steps = (("mouseMoved", start, "none"), ("mousePressed", start, "left"), ("mouseMoved", end, "left"))
        for kind, (x, y), button in (*steps, ("mouseReleased", end, "left")):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, clickCount=1)

    def move(self, x: float, y: float) -> None:
        """Moves the mouse there."""
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, key: str) -> None:
        """Presses and releases a key such as 'n' or 'ArrowDown'."""
        text = {"text": key} if len(key) == 1 else {}
        self._call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self._call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def type(self, text: str) -> None:
        """Types into the element that has the focus."""
        self._call("Input.insertText", text=text)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Writes a PNG of the window, or of the whole page."""
        shot = self._call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            answer = self._receive(deadline)
            if answer.get("id") == self._sent:
                assert "error" not in answer, f"{method}: {answer.get('error')}"
                result: dict[str, Any] = answer["result"]
                return result
            self._handle(answer)

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"the browser was silent for {_TIMEOUT_S:.0f} s"
            part = os.read(self._answers, 1 << 20)
            assert part, "the browser ended"
            self._unread += part
        message, _, self._unread = self._unread.partition(b"\0")
        received: dict[str, Any] = json.loads(message)
        return received

    def _handle(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.errors.append(json.dumps(params["args"]))


@contextmanager
def browser(chromium: str, profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile in the folder `profile`; it ends with the block."""
    command_read, command_write, answer_read, answer_write = _pipes()
    launch = (sys.executable, "-c", _LAUNCH, str(command_read), str(answer_write))
    process = owned(
        subprocess.Popen(
            [*launch, chromium, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(command_read, answer_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    )
    os.close(command_read)
    os.close(answer_write)
    try:
        yield Browser(command_write, answer_read)
    finally:
        os.close(command_write)  # the browser ends when nobody can command it any more
        os.close(answer_read)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _pipes() -> list[int]:
    """Two pipes, their ends numbered from 10 up, so that taking 3 and 4 closes none of them."""
    low = (*os.pipe(), *os.pipe())
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low]
    for end in low:
        os.close(end)
    return high
