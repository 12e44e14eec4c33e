"""What a person sees of the live page, and on which screen."""

from __future__ import annotations

from selenium import webdriver

from tests.e2e.browser import wait_for

BEFORE = "2026-01-02"
HOUR_MS = 3_600_000


def screen(driver: webdriver.Chrome, width: int, height: int, *, dark: bool = False) -> None:
    sizes = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def text(driver: webdriver.Chrome, element: str) -> str:
    return str(driver.execute_script("return document.getElementById(arguments[0]).innerText", element))


def shows(driver: webdriver.Chrome, element: str, wanted: str) -> None:
    wait_for(lambda: wanted in text(driver, element), lambda: f"{wanted!r} in {element}: {text(driver, element)!r}")


def names(driver: webdriver.Chrome, listed: str) -> list[str]:
    script = "return [...document.querySelectorAll(`#${arguments[0]} .name`)].map((name) => name.textContent)"
    return list(driver.execute_script(script, listed))
