"""The report works in a real browser, on a phone and on paper, without any network.

These tests drive the system's Chromium; they are skipped where there is none.
"""

import base64
import os
import re
import shutil

import pandas as pd
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
SCREENS = (390, ""), (1280, ""), (1920, ""), PAPER
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


@pytest.fixture
def opened(browser, built):
    """The report, on a screen of the usual size."""
    resize(browser, 1280)
    browser.get((built / "report.html").as_uri())
    return browser


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
    found = browser.execute_script(SIZES)
    assert len(found) > 10
    assert [each for each in found if each[0] < 12] == []


def test_the_recorded_report_prints_on_at_most_15_pages(browser, recorded):
    browser.get((recorded / "report.html").as_uri())
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    pages = re.findall(rb"/Type\s*/Page\b", base64.b64decode(printed["data"]))
    assert 5 < len(pages) <= 15


def shown_runs(browser):
    """The table of runs as it is shown, and what it is sorted by."""
    script = """const rows = [...document.querySelectorAll(".runs tr:not([hidden])")];
        const [head, ...body] = rows.map(row => [...row.cells]);
        return [head.map(cell => [cell.dataset.column, cell.ariaSort]),
                body.map(row => row.map(cell => cell.dataset.value))]"""
    head, body = browser.execute_script(script)
    return pd.DataFrame(body, columns=dict(head)), [pair for pair in head if pair[1]]


def test_headings_sort_by_mouse_and_by_keyboard(opened):
    from selenium.webdriver.common.keys import Keys

    assert shown_runs(opened)[1] == [["accuracy", "descending"]]
    button = opened.find_element("css selector", "th[data-column=cross_entropy] button")
    for press, order in ((button.click, "ascending"), (None, "descending")):
        press() if press else button.send_keys(Keys.ENTER)
        table, sorting = shown_runs(opened)
        assert sorting == [["cross_entropy", order]]
        assert list(table.cross_entropy[160:]) == ["", ""]
        numbers = [float(value) for value in table.cross_entropy[:160]]
        assert numbers == sorted(numbers, reverse=order == "descending")


def test_filters_combine_and_are_taken_back(opened):
    from selenium.webdriver.support.select import Select
    from selenium.webdriver.support.ui import WebDriverWait

    shown = opened.find_element("css selector", ".filters output")
    assert shown.text == "162 of 162 runs shown"
    for name, value in ("num_hidden_layers", "3"), ("learning_rate", "0.005"):
        select = opened.find_element("css selector", f"select[data-column={name}]")
        Select(select).select_by_visible_text(value)
    assert shown.text == "18 of 162 runs shown"
    table, _ = shown_runs(opened)
    assert len(table) == 18
    assert set(table.num_hidden_layers + " " + table.learning_rate) == {"3 0.005"}
    opened.find_element("css selector", ".filters button").click()
    WebDriverWait(opened, 10).until(lambda page: shown.text == "162 of 162 runs shown")
