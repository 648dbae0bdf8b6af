"""The pages look right in a real browser, on a phone and on paper, without any network.

These tests drive the system's Chromium; they are skipped where there is none.
"""

import base64
import os
import re
import shutil

import pytest

from helpers import files
from helpers.report import results
from tests.report.folders import ALT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMEDRIVER = shutil.which("chromedriver")
FLAGS = ["headless=new", "no-sandbox", "no-first-run", "disable-gpu", "disable-quic"]
FLAGS += ["disable-sync", "disable-background-networking", "disable-component-update"]
SENT = "Network.requestWillBeSent"
PAPER = 700, "print"
"""CSS pixels of A4 without its margins: 18.6 cm are 703."""
SCREENS = (390, ""), (700, ""), (900, ""), (1280, ""), PAPER
OVERFLOW = """return [...document.querySelectorAll("html, body, body *:not(math *, script)")]
    .filter(e => e.checkVisibility() && e.clientWidth && e.scrollWidth > e.clientWidth + 1)
    .filter(e => !["inline", "contents"].includes(getComputedStyle(e).display))
    .filter(e => getComputedStyle(e).position !== "absolute")
    .map(e => [e.tagName, e.className, e.scrollWidth, e.clientWidth, e.textContent.slice(0, 60)])"""


SIZES = """return [...document.querySelectorAll("body *:not(script, math, math *)")]
    .filter(e => e.checkVisibility())
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .map(e => [parseFloat(getComputedStyle(e).fontSize), e.outerHTML.slice(0, 80)])"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("no Chromium with chromedriver is installed")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in *FLAGS, f"user-data-dir={tmp_path_factory.mktemp('profile')}":
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    service = webdriver.ChromeService(CHROMEDRIVER, env=os.environ | {"SE_OFFLINE": "true"})
    driver = webdriver.Chrome(options, service)
    yield driver
    driver.quit()


def resize(browser, width, media=""):
    """Set the width of the page; phones are narrow."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media})


PAGES = pytest.mark.parametrize("page", ["report.html", "part_a.html"])


@PAGES
def test_opens_from_disk_without_error_or_request(browser, built, page):
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get((built / page).as_uri())
    assert browser.get_log("browser") == []
    sent = "\n".join(e["message"] for e in browser.get_log("performance") if SENT in e["message"])
    assert f"/{page}" in sent and '"url":"http' not in sent
    images = "return [...document.images].map(i => i.complete && i.naturalWidth > 0 && i.alt)"
    assert browser.execute_script(images) == [ALT] * {"report.html": 4, "part_a.html": 1}[page]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The pages of the recorded deliverable."""
    folder = tmp_path_factory.mktemp("pages")
    results.build_report(files.OUTPUTS, folder)
    return folder


@pytest.mark.parametrize("page", ["report.html", *(f"part_{part}.html" for part in "abcd")])
def test_nothing_overflows(browser, recorded, page):
    browser.get((recorded / page).as_uri())
    for width, media in SCREENS:
        resize(browser, width, media)
        assert browser.execute_script(OVERFLOW) == [], (width, media)


@PAGES
def test_printed_text_is_large_enough(browser, built, page):
    resize(browser, *PAPER)
    browser.get((built / page).as_uri())
    sizes = browser.execute_script(SIZES)
    assert len(sizes) > 10
    assert [each for each in sizes if each[0] < 12] == []


def test_the_recorded_report_prints_on_at_most_15_pages(browser, recorded):
    browser.get((recorded / "report.html").as_uri())
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    pages = re.findall(rb"/Type\s*/Page\b", base64.b64decode(printed["data"]))
    assert 5 < len(pages) <= 15
