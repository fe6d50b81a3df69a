"""A headless Chromium, driven over the WebDriver protocol of chromedriver.

Only what looking at a page takes: open it, run a script in it, wait for
something to become true, take a picture. Plain HTTP; no library.
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request

import harness


class Browser:
    """One window; stop() ends chromedriver and Chromium."""

    def __init__(self, width=1280, height=900):
        self.profile = tempfile.mkdtemp(prefix="postbatch-chromium-")
        port = harness.free_port()
        self.root = "http://127.0.0.1:%d" % port
        self.log = open(os.path.join(self.profile, "chromedriver.log"), "wb")
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=%d" % port], stdout=self.log,
            stderr=self.log)
        self.session = None
        try:
            harness.wait_for(self.is_ready, "chromedriver to listen")
            self.session = self.call("POST", "/session", {"capabilities": {
                "alwaysMatch": {"goog:chromeOptions": {"args": [
                    "--headless=new", "--no-sandbox", "--disable-gpu",
                    "--disable-dev-shm-usage", "--hide-scrollbars",
                    "--force-color-profile=srgb", "--no-first-run",
                    "--user-data-dir=" + os.path.join(self.profile, "data"),
                    "--window-size=%d,%d" % (width, height)]}}}})["sessionId"]
        except BaseException:
            self.stop()
            raise

    def is_ready(self):
        try:
            return self.call("GET", "/status")["ready"]
        except OSError:
            return False

    def call(self, method, path, body=None):
        """A WebDriver command; gives its value."""
        request = urllib.request.Request(
            self.root + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise AssertionError("browser: %s: %s" % (
                value["error"], value["message"].splitlines()[0])) from None

    def command(self, name, body=None):
        return self.call("POST", "/session/%s/%s" % (self.session, name),
                         body or {})

    def devtools(self, name, **parameters):
        """A command of the Chrome DevTools Protocol."""
        return self.command("goog/cdp/execute",
                            {"cmd": name, "params": parameters})

    def open(self, url):
        self.command("url", {"url": url})

    def run(self, script, *arguments):
        """Runs the body of a function in the page; gives what it returns."""
        return self.command("execute/sync",
                            {"script": script, "args": list(arguments)})

    def wait(self, script, what, *arguments, seconds=15):
        """Waits until a script returns something true; gives that."""
        return harness.wait_for(lambda: self.run(script, *arguments), what,
                                seconds)

    def look(self, width, height, scheme="light", scale=1):
        """Sets the size of the page and the colour scheme people prefer."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width,
                      height=height, deviceScaleFactor=scale, mobile=False)
        self.devtools("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}])

    def picture(self):
        """The page as it is seen, as the bytes of a PNG."""
        return base64.b64decode(self.call(
            "GET", "/session/%s/screenshot" % self.session))

    def stop(self):
        if self.session is not None:
            try:
                self.call("DELETE", "/session/" + self.session)
            except (OSError, AssertionError):
                pass
        harness.stop_process(self.driver)
        self.log.close()
        shutil.rmtree(self.profile, ignore_errors=True)
