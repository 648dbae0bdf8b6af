"""The pages look right in a real browser, on a phone and on paper, without any network.

These tests drive the system's Chromium; they are skipped where there is none.
"""

import os
import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMEDRIVER = shutil.which("chromedriver")
FLAGS = ["headless=new", "no-sandbox", "no-first-run", "disable-gpu", "disable-quic"]
FLAGS += ["disable-sync", "disable-background-networking", "disable-component-update"]
SCREENS = (390, ""), (700, ""), (900, ""), (1280, ""), (700, "print")
"""CSS pixels, the last ones of A4 without its margins: 18.6 cm are 703."""
OVERFLOW = """return [...document.querySelectorAll("html, body, body *:not(math *, script)")]
    .filter(e => e.checkVisibility() && e.clientWidth && e.scrollWidth > e.clientWidth + 1)
    .filter(e => !["inline", "contents"].includes(getComputedStyle(e).display))
    .filter(e => getComputedStyle(e).position !== "absolute")
    .map(e => [e.tagName, e.className, e.scrollWidth, e.clientWidth, e.textContent.slice(0, 60)])"""


SMALL = """return [...document.querySelectorAll("body *:not(script, math, math *)")]
    .filter(e => e.checkVisibility() && parseFloat(getComputedStyle(e).fontSize) < 12)
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .map(e => e.outerHTML.slice(0, 80))"""
"""Printed text under 9 points."""
UNSEEN = """return [...document.images].filter(image => !image.naturalWidth || !image.alt)"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("no Chromium with chromedriver is installed")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in *FLAGS, f"user-data-dir={tmp_path_factory.mktemp('profile')}":
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(CHROMEDRIVER, env=os.environ | {"SE_OFFLINE": "true"})
    driver = webdriver.Chrome(options, service)
    yield driver
    driver.quit()


@pytest.mark.parametrize("page", ["report.html", *(f"part_{part}.html" for part in "abcd")])
def test_opens_from_disk_without_a_complaint_and_nothing_overflows(browser, built, page):
    browser.get((built / page).as_uri())
    assert browser.get_log("browser") == []
    assert browser.execute_script(UNSEEN) == []
    for width, media in SCREENS:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media})
        assert browser.execute_script(OVERFLOW) == [], (width, media)
    assert browser.execute_script(SMALL) == []
