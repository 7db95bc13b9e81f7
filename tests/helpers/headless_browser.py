"""A headless Chromium, driven through its own debugging protocol: one page, its mouse, its log."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from base64 import b64decode
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 60.0  # seconds, on a busy machine


def chromium() -> str | None:
    """The browser's command, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of a headless browser.

    Args:
        folder: for its profile.
        width: of the window, CSS pixels; height: the same.
    """

    def __init__(self, folder: Path, *, width: int = 1280, height: int = 1600) -> None:
        import websocket

        command = chromium()
        assert command is not None
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        options += ["--disable-background-networking", "--disable-dev-shm-usage"]
        options += ["--remote-debugging-port=0", "--remote-allow-origins=*"]
        self.process = subprocess.Popen(
            [command, *options, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.calls = 0
        self.socket: Any = None
        try:
            self.socket = websocket.create_connection(self._address(folder), timeout=PATIENCE)
            for part in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{part}.enable")
            self.size(width, height)
        except BaseException:
            self.close()
            raise

    def _address(self, folder: Path) -> str:
        """Of the page's debugger."""
        port = folder / "DevToolsActivePort"
        until(lambda: port.exists() and port.read_text().strip(), "the browser did not start")
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port.read_text().split()[0]}/json", timeout=PATIENCE
        ) as answer:
            pages = json.load(answer)
        return next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page")

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        """One command; what happens until its answer comes is kept."""
        self.calls += 1
        self.socket.send(json.dumps({"id": self.calls, "method": method, "params": given}))
        while True:
            told = json.loads(self.socket.recv())
            if told.get("id") == self.calls:
                assert "error" not in told, f"{method}: {told['error']}"
                return told["result"]
            self._hear(told["method"], told.get("params", {}))

    def _hear(self, event: str, told: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.complaints.append(details.get("exception", details).get("description", "?"))
        elif event == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(a.get("value")) for a in told["args"]))
        elif event == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(told["entry"]["text"])

    def size(self, width: int, height: int) -> None:
        """Of the window."""
        shown = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **shown)

    def open(self, path: Path, ready: str) -> None:
        """Show a file, and wait until an expression is true."""
        self.call("Page.navigate", url=path.resolve().as_uri())
        until(lambda: self.ask(ready), f"{path.name}: {ready} did not come true")

    def ask(self, expression: str) -> Any:
        """Value of an expression in the page."""
        given = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        told = self.call("Runtime.evaluate", **given)
        assert "exceptionDetails" not in told, f"{expression}: {told['exceptionDetails']}"
        return told["result"].get("value")

    def frames(self) -> None:
        """Wait until what was asked for is drawn."""
        self.ask("new Promise(d => requestAnimationFrame(() => requestAnimationFrame(d)))")

    def mouse(self, x: float, y: float, *, clicks: int = 0) -> None:
        """Point at a place of the window, and click there."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x - 1, y=y)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for n in range(clicks):
            for kind in ("mousePressed", "mouseReleased"):
                pressed = {"type": kind, "button": "left", "clickCount": n + 1}
                self.call("Input.dispatchMouseEvent", x=x, y=y, **pressed)
        self.frames()

    def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 6) -> None:
        """From one place to another with the button held."""
        places = [
            tuple(a + (b - a) * i / steps for a, b in zip(start, end, strict=True))
            for i in range(steps + 1)
        ]
        kinds = ["mousePressed", *["mouseMoved"] * steps, "mouseReleased"]
        for kind, (x, y) in zip(kinds, [*places, places[-1]], strict=True):
            held = {"button": "left", "buttons": int(kind != "mouseReleased"), "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)
        self.frames()

    def key(self, name: str, *, shift: bool = False) -> None:
        """Press a key where the focus is: "ArrowLeft", "Enter", "Tab", "b"."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
        codes |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        given: dict[str, Any] = {"key": name, "code": name, "modifiers": 8 * shift}
        given["windowsVirtualKeyCode"] = codes.get(name, ord(name[0].upper()))
        if name == "Enter":
            given["text"] = "\r"
        elif len(name) == 1:
            given["text"] = name
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, **given)
        self.frames()

    def write(self, text: str) -> None:
        """As if it were typed where the focus is."""
        self.call("Input.insertText", text=text)

    def scheme(self, name: str) -> None:
        """ "light" or "dark", as the reader's system has it."""
        wanted = [{"name": "prefers-color-scheme", "value": name}]
        self.call("Emulation.setEmulatedMedia", features=wanted)
        self.frames()

    def paper(self) -> bytes:
        """The page as PDF, on the paper that it asks for."""
        told = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        return b64decode(told["data"])

    def picture(self) -> bytes:
        """What is seen, as PNG."""
        return b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """End it."""
        if self.socket is not None:
            self.socket.close()
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)


def until(ready: Any, complaint: str) -> None:
    """Wait for something to be true."""
    end = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < end, complaint
        time.sleep(0.05)
