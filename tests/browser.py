"""browser.py: headless Chromium over its debugging pipe (two descriptors, JSON with NUL behind
each message), with Python's own library alone."""
import base64
import json
import os
import queue
import shutil
import subprocess
import threading
import time

WAIT_S = 20


class Browser:
    """One browser with one page. Whatever it says unasked is kept in `events`."""

    def __init__(self, profile, programs=("chromium", "chromium-browser", "google-chrome")):
        program = next((p for p in map(shutil.which, programs) if p), None)
        if not program:
            raise RuntimeError("no chromium")
        shutil.rmtree(profile, ignore_errors=True)
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()

        def ends():  # the browser reads from 3 and writes to 4
            a, b = os.dup(to_read), os.dup(from_write)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--remote-debugging-pipe", "--user-data-dir=" + profile,
             "--no-first-run", "--no-default-browser-check", "--disable-gpu", "--no-sandbox",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars",
             "--window-size=1280,900", "about:blank"],
            preexec_fn=ends, close_fds=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=open(profile + ".log", "wb"), start_new_session=True)
        os.close(to_read)
        os.close(from_write)
        self.to, self.got, self.number = to_write, queue.Queue(), 0
        self.events = []
        threading.Thread(target=self._read, args=(from_read,), daemon=True).start()
        self.session = None
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in "Page", "Runtime", "Network", "Log", "DOM":
            self(domain + ".enable")

    def _read(self, end):
        rest = b""
        while True:
            data = os.read(end, 1 << 16)
            if not data:
                self.got.put(None)
                return
            *messages, rest = (rest + data).split(b"\0")
            for message in messages:
                self.got.put(json.loads(message))

    def _next(self, until):
        message = self.got.get(timeout=max(0.01, until - time.monotonic()))
        if message is None:
            raise RuntimeError("the browser ended")
        if "method" in message:
            self.events.append(message)
        return message

    def __call__(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + 60
        while True:
            answer = self._next(until)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(method + ": " + answer["error"]["message"])
                return answer["result"]

    def js(self, expression):
        """The value of an expression, or what a promise comes to."""
        result = self("Runtime.evaluate", expression=expression, returnByValue=True,
                      awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(expression + ": " + json.dumps(result["exceptionDetails"]))
        return result["result"].get("value")

    def wait(self, expression, seconds=WAIT_S):
        """Whether it becomes true."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.js(expression):
                return True
            time.sleep(0.05)
        return False

    def open(self, url):
        self("Page.navigate", url=url)
        return self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def media(self, **features):
        self("Emulation.setEmulatedMedia", media="", features=[
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def size(self, width, height):
        self("Emulation.setDeviceMetricsOverride", width=width, height=height,
             deviceScaleFactor=1, mobile=False)

    def key(self, name, code, text=""):
        more = {"text": text} if text else {}
        self("Input.dispatchKeyEvent", type="keyDown", key=name, code=name,
             windowsVirtualKeyCode=code, **more)
        self("Input.dispatchKeyEvent", type="keyUp", key=name, code=name,
             windowsVirtualKeyCode=code)

    def type(self, text):
        self("Input.insertText", text=text)

    def picture(self, path):
        data = self("Page.captureScreenshot", captureBeyondViewport=False)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def heap(self):
        """Bytes that a collection of garbage leaves, and nodes of documents."""
        for _ in range(3):
            self("HeapProfiler.collectGarbage")
        return (self("Runtime.getHeapUsage")["usedSize"], self("Memory.getDOMCounters")["nodes"])

    def close(self):
        try:
            self.session = None
            self("Browser.close")
        except Exception:
            pass
        os.close(self.to)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
