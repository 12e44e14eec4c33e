"""Chromium with the extension, steered by its driver. Tabs really become hidden and visible here."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.waiting import until

YOUTUBE: Final = "https://www.youtube.com"
#: The fake site answers for all of these.
_HOSTS: Final = ("www.youtube.com", "music.youtube.com", "blog.example")
_PATIENCE_S: Final = 20.0


def extension_id(folder: Path) -> str:
    """Return the id that Chromium gives an unpacked extension: a digest of its path, in the letters a to p."""
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]
    return "".join(chr(ord("a") + int(digit, 16)) for digit in digest)


class Browser:
    """One browser profile; `start` and `kill` may alternate."""

    def __init__(self, profile: Path, extension: Path, youtube_port: int) -> None:
        self._profile = profile
        self._extension = extension
        self._youtube_port = youtube_port
        self.base = f"chrome-extension://{extension_id(extension)}"
        self.driver: webdriver.Chrome

    def start(self) -> None:
        """Start the browser on this profile."""
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--mute-audio",
            "--window-size=1000,900",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-features=DisableLoadExtensionCommandLineSwitch",
            f"--load-extension={self._extension}",
            f"--disable-extensions-except={self._extension}",
            f"--user-data-dir={self._profile}",
            f"--host-resolver-rules={', '.join(f'MAP {host} 127.0.0.1:{self._youtube_port}' for host in _HOSTS)}",
            "--ignore-certificate-errors",
            "--autoplay-policy=no-user-gesture-required",
        ):
            options.add_argument(argument)
        # Else an unpacked extension that is loaded anew stays switched off.
        options.add_experimental_option("prefs", {"extensions.ui.developer_mode": True})
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.driver.set_script_timeout(30)

    def quit(self) -> None:
        """Close the browser in good order."""
        self.driver.quit()

    def kill(self) -> None:
        """Kill every process of the browser at once, as a power cut does."""
        driver_process = psutil.Process(self.driver.service.process.pid)
        processes = driver_process.children(recursive=True)
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=_PATIENCE_S)
        driver_process.kill()
        driver_process.wait(_PATIENCE_S)

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """Stop every process of the browser, as a laptop does when its lid is closed; wake them at the end."""
        processes = psutil.Process(self.driver.service.process.pid).children(recursive=True)
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        yield
        for process in processes:
            process.send_signal(signal.SIGCONT)

    def set_up(self, address: str) -> None:
        """Agree to be measured and name the gateway, as the options page does it."""
        self.close_first_run_page()
        self.open_page("options/options.html")
        self.ask({"kind": "change", "change": {"address": address, "consented_ts": 1}})

    def close_first_run_page(self) -> None:
        """Close the page that a new extension opens in front."""
        welcome = f"{self.base}/consent/consent.html"
        wait_for(lambda: self._targets("page", welcome), "the first-run page in a tab of its own, in front")
        self._close(self._targets("page", welcome))

    def open_page(self, path: str) -> None:
        """Open one of the extension's own pages."""
        self.driver.get(f"{self.base}/{path}")

    def ask(self, message: dict[str, Any]) -> Any:
        """Send a message to the service worker from the extension's page that is open."""
        answer = self.driver.execute_async_script(
            "const [message, done] = arguments;"
            "chrome.runtime.sendMessage(message).then(done, (error) => done({ok: false, error: String(error)}));",
            message,
        )
        assert answer["ok"], answer
        return answer.get("value")

    def youtube(self, path: str) -> None:
        """Load a page of the fake site."""
        self.driver.get(YOUTUBE + path)

    def js(self, script: str, *arguments: object) -> Any:
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def wait_until(self, script: str, *arguments: object) -> None:
        """Wait until an expression is true in the page."""
        wait_for(lambda: self.js(f"return Boolean({script})", *arguments), script)

    def play_for(self, seconds: float) -> None:
        """Let the page's player play on for so many seconds of its own stopwatch (without ads and previews)."""
        before = self._played_ms()
        wait_for(lambda: self._played_ms() - before >= seconds * 1000, f"{seconds} s of playing", seconds * 3 + 20)

    def _played_ms(self) -> float:
        return self.js("truth.settle(); return Object.values(truth.wall).reduce((a, b) => a + b, 0)")

    def click(self, selector: str) -> None:
        """Click as a person does."""
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    @contextmanager
    def another_tab(self, url: str = "about:blank") -> Iterator[None]:
        """Open another tab in front, and come back at the end."""
        first = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        self.driver.get(url)
        yield
        self.driver.close()
        self.driver.switch_to.window(first)

    def open_behind(self, path: str) -> None:
        """Open a page of the site in a tab that stays in the background."""
        self.driver.execute_cdp_cmd("Target.createTarget", {"url": YOUTUBE + path, "background": True})

    def stored_keys(self) -> list[str]:
        """Return what the extension keeps in its storage, by an extension page that is open."""
        return self.driver.execute_async_script(
            "chrome.storage.local.get(null).then((all) => arguments[0](Object.keys(all)))"
        )

    def update_extension(self) -> None:
        """Load the extension anew, as an update does; its own pages close, other pages stay as they are."""
        page = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        self.open_page("options/options.html")
        self.js("setTimeout(() => chrome.runtime.reload())")
        wait_for(lambda: len(self.driver.window_handles) == 1, "the extension's page closed")
        self.driver.switch_to.window(page)
        wait_for(lambda: self._targets("service_worker", self.base), "a running service worker")

    def kill_worker(self) -> bool:
        """Kill the extension's service worker, as the browser does when it likes; False if none runs."""
        workers = self._targets("service_worker", self.base)
        self._close(workers)
        return bool(workers)

    def _targets(self, kind: str, url: str) -> list[str]:
        """Return the ids of what runs in the browser; its driver does not list an extension's pages as windows."""
        targets = self.driver.execute_cdp_cmd("Target.getTargets", {})["targetInfos"]
        return [target["targetId"] for target in targets if target["type"] == kind and target["url"].startswith(url)]

    def _close(self, targets: list[str]) -> None:
        for target in targets:
            self.driver.execute_cdp_cmd("Target.closeTarget", {"targetId": target})


def wait_for(true: Callable[[], object], what: str | Callable[[], str], timeout_s: float = _PATIENCE_S) -> None:
    """Wait until `true()` is, else fail saying what did not happen."""
    until(true, timeout_s, what)
