"""The extension's own pages, used as people use them: by what they read, with the mouse or the keyboard alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from gateway import keyring
from gateway.settings import Settings
from tests.e2e.browser import Browser, wait_for
from tests.e2e.comparison import leave_and_compare
from tests.e2e.conftest import EXTENSION
from tests.e2e.ingest import IngestServer
from tests.servers import unavailable

AXE = EXTENSION.parent / "node_modules" / "axe-core" / "axe.min.js"
PLAIN = "/watch?v=plain000001"


def text(browser: Browser, selector: str) -> str:
    """Return what a person reads there."""
    return str(browser.driver.find_element(By.CSS_SELECTOR, selector).text)


def press(browser: Browser, *keys: str) -> None:
    """Press keys, wherever the focus is."""
    for key in keys:
        browser.driver.switch_to.active_element.send_keys(key)


@pytest.mark.slow
def test_from_installation_to_the_first_minute(site, ingest, tmp_path: Path):
    browser = Browser(tmp_path / "profile", EXTENSION, site.port)
    browser.start()
    try:
        browser.close_first_run_page()
        browser.open_page("options/options.html")
        address = browser.driver.find_element(By.ID, "address")
        wait_for(lambda: address.get_property("value") == "http://127.0.0.1:4000", "the default address")
        address.clear()
        address.send_keys(f"127.0.0.1:{ingest.port}", Keys.ENTER)
        assert browser.js("return !document.getElementById('address').checkValidity()"), "no address without a scheme"
        address.clear()
        address.send_keys(ingest.address, Keys.ENTER)
        wait_for(lambda: text(browser, "#server-result") == "Saved.", "saved")
        browser.click("#test")
        wait_for(lambda: "takes this extension's events" in text(browser, "#server-result"), "a good connection")

        browser.open_page("consent/consent.html")
        wait_for(lambda: ingest.address in text(browser, "main"), "where it goes")
        browser.click("#agree")
        wait_for(lambda: "measures from now on" in text(browser, "#result"), "thanks")
        browser.youtube(PLAIN)
        browser.play_for(4)
        leave_and_compare(browser, site, ingest)

        browser.open_page("popup/popup.html")
        wait_for(lambda: text(browser, "#total") == "under 1 min", "today's time")
        assert text(browser, "#channels span") == "Channel One"
        assert text(browser, "#delivery").startswith("All delivered")
    finally:
        browser.quit()


@pytest.mark.slow
def test_a_token_by_an_invite_code(browser, background, tmp_path: Path):
    assert keyring.main([str(tmp_path / "keys")]) == 0
    (tmp_path / "invites").write_text("open sesame\n")
    files = {"keys_file": tmp_path / "keys", "invites_file": tmp_path / "invites"}
    gateway = IngestServer(background, settings=Settings(auth=True, **files))
    gateway.start()
    try:
        browser.open_page("options/options.html")
        address, invite, token = (browser.driver.find_element(By.ID, name) for name in ("address", "invite", "token"))
        wait_for(lambda: address.get_property("value"), "the address of before")
        address.clear()
        address.send_keys(gateway.address)
        invite.send_keys("wrong", Keys.ENTER)
        wait_for(lambda: "invite code is missing or not known" in text(browser, "#server-result"), "it is refused")
        assert token.get_property("value") == ""
        invite.clear()
        invite.send_keys("open sesame")
        browser.click("#enroll")
        wait_for(lambda: text(browser, "#server-result").startswith("Saved. The token is good until"), "a token")
        first = token.get_property("value")
        assert first.startswith("wt1.")
        browser.click("#test")
        wait_for(lambda: "takes this extension's events" in text(browser, "#server-result"), "it is let in")
        browser.click("#enroll")
        wait_for(lambda: text(browser, "#server-result").startswith("Saved"), "it is renewed without a code")
        assert token.get_property("value").split(".")[2] == first.split(".")[2]
        browser.youtube(PLAIN)
        browser.play_for(2)
        browser.open_page("options/options.html")
        browser.click("#deliver")
        wait_for(gateway.lines, "events under the token's name")
        renewed = browser.js("return document.getElementById('token').value")
        for address, shown in (("https://other.example", ""), (gateway.address + "/", renewed)):
            browser.js("document.getElementById('address').value = arguments[0]", address)
            browser.js("document.getElementById('address').dispatchEvent(new Event('change'))")
            assert browser.js("return document.getElementById('token').value") == shown
        assert {line["client_id"] for line in gateway.lines()} == {text(browser, "#client")} == {first.split(".")[2]}
        browser.click("#forget")
        browser.wait_until("document.getElementById('sure').open")
        browser.click("#sure-yes")
        wait_for(lambda: "stay who your token says" in text(browser, "#forget-result"), "what forgetting came to")
        assert text(browser, "#own-name") not in {"", first.split(".")[2]}
    finally:
        gateway.stop()


@pytest.mark.slow
def test_the_popup_by_keyboard(browser):
    browser.open_page("popup/popup.html")
    wait_for(lambda: text(browser, "#pause") == "Pause", "the popup")
    press(browser, Keys.TAB, Keys.TAB, Keys.ENTER)
    wait_for(lambda: text(browser, "#pause") == "Resume", "paused")
    assert browser.js("return document.activeElement.id") == "pause"
    assert browser.js("return document.activeElement.getAttribute('aria-pressed')") == "true"
    press(browser, Keys.SPACE)
    wait_for(lambda: text(browser, "#pause") == "Pause", "goes on")


@pytest.mark.slow
def test_trouble_is_shown_and_sent_on_request(browser, ingest):
    ingest.stop()
    browser.youtube(PLAIN)
    browser.play_for(2)
    browser.open_page("popup/popup.html")
    wait_for(lambda: "Is the gateway running?" in text(browser, "#trouble"), "what is wrong")
    assert "wait" in text(browser, "#delivery")
    browser.open_page("options/options.html")
    browser.click("#test")
    wait_for(lambda: "Nothing answers" in text(browser, "#server-result"), "the test says so too")
    ingest.start()
    browser.click("#deliver")
    wait_for(lambda: text(browser, "#queue").startswith("Nothing"), "sent")
    assert not browser.driver.find_element(By.ID, "error").is_displayed()


@pytest.mark.slow
def test_forget_me(browser, ingest):
    browser.youtube(PLAIN)
    browser.play_for(2)
    ingest.stop()
    browser.open_page("options/options.html")
    wait_for(lambda: text(browser, "#client"), "the name of this browser")
    name = text(browser, "#client")
    browser.click("#forget")
    browser.wait_until("document.activeElement.id === 'sure-no'")
    press(browser, Keys.ENTER)  # the focus is on the harmless answer
    browser.wait_until("!document.getElementById('sure').open")
    assert text(browser, "#client") == name
    browser.click("#forget")
    browser.wait_until("document.getElementById('sure').open")
    browser.click("#sure-yes")
    wait_for(lambda: text(browser, "#client") != name, "a new name")
    status = browser.ask({"kind": "status"})
    assert (status["queue"]["waiting"], status["today"]["fg_ms"], status["today"]["views"]) == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["popup/popup.html", "options/options.html", "consent/consent.html"])
def test_accessible(browser, ingest, page, scheme):
    """No finding of axe-core, contrast included, with everything shown that may be shown."""
    if not AXE.exists():
        unavailable("axe-core is not installed: run `npm ci`")
    browser.youtube(PLAIN)
    browser.play_for(1)
    ingest.stop()
    scheme_is = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme_is)
    browser.open_page(page)
    browser.ask({"kind": "deliver"})
    browser.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text()})
    found = browser.driver.execute_async_script("axe.run().then(arguments[0])")
    problems = [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]
    assert problems == []
