"""The report says what the files say, and works in a real browser without any network.

The browser tests drive the system's Chromium; they are skipped where there is none.
"""

import base64
import io
import json
import os
import re
import shutil
from dataclasses import asdict
from xml.etree import ElementTree

import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from helpers import files, models, network
from helpers.grid import table as grid_table
from helpers.notebook import parameters
from helpers.notebook.records import RECORD, VARIES, Record, read_records
from helpers.report import pages, results, runs
from helpers.sgd import Recipe

RECORDS = {
    "a": [Record("start loss", 2.32, "rel", 0.05), Record("test accuracy", 0.8712, "abs", 0.01)],
    "b": [
        Record("check_grad", 3.9e-06, "at_most", 1e-05),
        Record("values in Part_B_grad_weight.txt", 59210, "exactly", 0),
    ],
    "c": [
        Record("grid rows", 162, "exactly", 0),
        Record("best validation accuracy", 0.8865, "abs", 0.02),
        Record("test accuracy, best of the grid", 0.8763, "abs", 0.02),
        Record("a <b>bold</b> & odd name", 1.5, "abs", 0.1),
    ],
    "d": [Record("dead units", 3, "exactly", 0)],
}
TITLE = "Part {}: a long title with a formula, $x < y$"
ALT = 'Curve "one" <script>alert(1)</script> & more'
CAPTION = "Good: the curve *falls*. Bad: $\\hat y < 0$ & <i>rises</i>."
TABLE = pd.DataFrame({"row": ["with & in it"], "error": ["1.2e-05"]})
LINE = {"text/plain": "took 12 s <on> 2 cores", VARIES: {}}


def displayed(data, **metadata):
    return new_output("display_data", data=data, metadata=metadata)


def picture(part):
    """A grey picture, of another shade for each part."""
    content = io.BytesIO()
    Image.new("L", (9, 5), ord(part)).save(content, "png")
    return base64.b64encode(content.getvalue()).decode()


def notebook(part, injected, command=""):
    """An executed notebook: parameters, then records, a table, a line that varies, a picture."""
    cells = [
        new_markdown_cell(f"# {TITLE.format(part.upper())}"),
        new_code_cell(assignments(parameters.defaults(part)), metadata={"tags": ["parameters"]}),
        new_code_cell(assignments(injected), metadata={"tags": ["injected-parameters"]}),
    ]
    shown = [displayed({"text/plain": str(r), RECORD: asdict(r)}) for r in RECORDS[part]]
    shown.append(new_output("stream", name="stdout", text="<b>not bold</b> 0\n"))
    table = {"text/plain": "…", "text/html": TABLE.to_html(index=False, border=0), VARIES: {}}
    shown += [displayed(LINE), displayed(table)]
    about = {"image/png": {"alt": ALT, "width": 737}, "caption": CAPTION}
    shown += [displayed({"image/png": picture(part), "text/plain": ALT}, **about)]
    shown += [displayed({"text/markdown": f"*{CAPTION}*"})]
    cells += [new_markdown_cell("## What is shown"), new_code_cell("1 < 2", outputs=shown)]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:02d}"
    about = {"language_info": {"name": "python"}, "helpers": {"command": command}}
    return new_notebook(cells=cells, metadata=about)


def assignments(values):
    return "\n".join(f"{name} = {value!r}" for name, value in values.items())


def write_part(folder, part, **changes):
    used = parameters.FULL[part] | {"output_dir": "outputs"} | changes
    made = notebook(part, used, f"python -m helpers {part} --output 'my runs'")
    nbformat.write(made, folder / f"part_{part}.ipynb")


def grid_rows():
    """The recorded table of 162 runs, changed: one is best by far, two diverged."""
    table = grid_table.read_table(files.OUTPUTS / "hyperparameter_tune.csv")
    table["accuracy"] *= 0.9
    table.loc[20, "accuracy"] = 0.8865
    table.loc[[7, 70], ["cross_entropy", "accuracy"]] = None
    return table.assign(diverged=table.accuracy.isna())


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A whole output folder, with its pages."""
    folder = tmp_path_factory.mktemp("outputs")
    for part in "abcd":
        write_part(folder, part)
    grid_table.write_table(folder / "hyperparameter_tune.csv", grid_rows())
    recipe = Recipe((784, 5, 10), 100, 32, 0.05, average_epochs=50)
    card = models.make_card(recipe, 0.41, 0.8912, test={"cross_entropy": 0.5, "accuracy": 0.88})
    models.save_model(folder, network.init_weights(recipe.layer_sizes, 0), card)
    timing = {"machine": {"system": "Linux"}, "seconds": {"grid": 412.31}}
    files.write_json(folder / "timing.json", timing)
    text = "Gradient check using check_grad: 3.9e-06\n\nGradient check using approx_fprime:\n"
    text += "".join(f"Value {i}: {i / 7}\n" for i in range(25))
    files.write_text(folder / "Part_B_grad_weight.txt", text)
    results.build_report(folder)
    return folder


@pytest.fixture
def copy(built, tmp_path):
    """The folder without its pages, to be damaged."""
    for path in built.iterdir():
        if path.suffix != ".html":
            shutil.copy(path, tmp_path)
    return tmp_path


def read(folder, name="report.html"):
    return BeautifulSoup((folder / name).read_text("utf-8"), "html.parser")


def read_again(folder):
    results.build_report(folder)
    return read(folder)


def text_of(element):
    return " ".join(element.get_text(" ").split())


def cells_of(table):
    return [[text_of(cell) for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")]


def test_same_files_give_the_same_pages_and_it_names_them(copy, tmp_path, monkeypatch):
    made = []
    for target in tmp_path / "one", tmp_path / "two":
        target.mkdir()
        monkeypatch.chdir(target)
        written = results.build_report(copy, target)
        assert sorted(target.iterdir()) == sorted(written)
        made.append({path.name: path.read_bytes() for path in written})
    assert made[0] == made[1]
    assert made[0].keys() == {"report.html", *(f"part_{part}.html" for part in "abcd")}


def test_headlines_stand_beside_the_reference(built):
    assert cells_of(read(built).select_one("#headline table"))[1:] == [
        ["A: test accuracy", "87.12 %", "–", "a rerun may differ by 1 point"],
        ["B: check_grad", "3.9e-06", "6.09e-06, 3.53e-06", "must be at most 1e-05"],
        ["B: values in Part_B_grad_weight.txt", "59,210", "59,210", "the same in every run"],
        ["C: grid rows", "162", "162", "the same in every run"],
        ["C: best validation accuracy", "88.65 %", "88.94 %", "a rerun may differ by 2 points"],
        ["C: test accuracy, best of the grid", "87.63 %", "–", "a rerun may differ by 2 points"],
    ]


def test_every_value_is_listed_once_and_leads_to_its_cell(built):
    page = read(built)
    for part, records in RECORDS.items():
        links = page.select(f'table a[href^="part_{part}.html#"]')
        assert sorted(link.text for link in links) == sorted(r.name for r in records)
    for link in page.select("#headline table a"):
        name, _, anchor = link["href"].partition("#")
        assert read(built, name).find(id=anchor).select(".output_area")


@pytest.mark.parametrize("part", "abcd")
def test_headlines_are_recorded_by_the_notebooks(part):
    recorded = read_records(nbformat.read(files.OUTPUTS / f"part_{part}.ipynb", as_version=4))
    assert runs.HEADLINES[part].keys() <= recorded.keys()


def test_says_which_run_it_is(copy):
    write_part(copy, "a", hidden_layers=(64, 64, 64))
    assert "Full run:" in text_of(read_again(copy).header)
    write_part(copy, "a", learning_rate=0.05)
    page = read_again(copy)
    note = "Changed parameters: part A ran with learning_rate = 0.05 (full run: 0.01)."
    assert note in text_of(page.header)
    assert "Full run:" not in text_of(page.header)
    nbformat.write(notebook("c", {"num_workers": 1}), copy / "part_c.ipynb")
    page = read_again(copy)
    assert "Quick run: part C ran with num_hidden_layers = 3 (full run: 3, 4, 5)" in text_of(page)
    references = [row[2] for row in cells_of(page.select_one("#headline table"))]
    assert "162" not in references and "88.94 %" not in references
    assert "Against the reference" not in text_of(page)


def test_a_failed_value_shows_as_failed(copy, monkeypatch):
    monkeypatch.setitem(RECORDS, "d", [Record("dead units", 3, "at_most", 2)])
    write_part(copy, "d")
    page = read_again(copy)
    assert "FAILED: dead units = 3, must be at most 2" in text_of(page.header)
    assert text_of(page.select_one(".failed td")) == "3 FAILED"


def test_table_of_runs_holds_every_row_best_first(built):
    page = read(built).select_one("#runs")
    names = [cell["data-column"] for cell in page.select("th")]
    assert names == [*grid_table.FACTORS, "cross_entropy", "accuracy"]
    rows = [[cell["data-value"] for cell in row.find_all("td")] for row in page.select("tbody tr")]
    shown = pd.DataFrame(rows, columns=names).replace("", np.nan).astype(float)
    expected = grid_rows().sort_values(["accuracy", "cross_entropy"], ascending=[False, True])
    pd.testing.assert_frame_equal(shown, expected[names].reset_index(drop=True).astype(float))


def test_every_picture_is_embedded_once_with_its_texts(built):
    images = read(built).select("figure img")
    assert [image["src"].partition(",")[2] for image in images] == [*map(picture, "abcd")]
    assert {image["alt"] for image in images} == {ALT}
    caption = images[0].find_next("figcaption")
    assert caption.find("em").text == "falls"
    assert caption.find("math")["alttext"] == "\\hat y < 0"
    assert "<i>rises</i>" in text_of(caption)


FACTS = {
    "#headline": [
        "3 hidden layers of 40 units, learning rate 0.005, batch size 32, 50 epochs",
        "88.65 % is 0.29 points less: less than one standard error (0.41 points",
        "a rerun may differ by 0.01) is a recorded value . The number in brackets",
    ],
    "#part-b": [f"Value 24: {24 / 7} ", "What is shown row error with & in it 1.2e-05"],
    "#part-b p:has(+ pre)": ["holds 25 finite differences"],
    "#part-b pre": ["Gradient check using check_grad: 3.9e-06 Value 0: 0.0 Value 1: "],
    "#part-c": ["a <b>bold</b> & odd name", "best_model 784-5-10 100 32 0.05 0 50 89.12 %"],
    "#runs": ["The same in all runs: L2 0, seed 0."],
    "#environment": ["system Linux", "grid 412.3", f"numpy {np.__version__}", "s <on> 2 cores"],
}


@pytest.mark.parametrize("selector", FACTS)
def test_what_the_files_say_is_told_and_is_text(built, selector):
    text = text_of(read(built).select_one(selector))
    assert [fact for fact in FACTS[selector] if fact not in text] == []


def test_files_and_commands_are_named_and_pages_have_no_script_of_others(built):
    page, part = read(built), read(built, "part_a.html")
    assert (len(page.find_all("script")), len(part.find_all("script"))) == (1, 0)
    assert "<b>not bold</b> 0" in text_of(part.select_one(".output_stream"))
    there = {link["href"] for link in page.select("#environment a")}
    assert there == {path.name for path in built.iterdir() if path.suffix != ".html"}
    commands = [text_of(command) for command in page.select("#reproduce pre")]
    assert commands == [f"python -m helpers {part} --output 'my runs'" for part in "abcd"]


@pytest.mark.parametrize("present", ["", "a", "bd", "acd"])
def test_missing_parts_are_said_and_the_rest_is_shown(copy, present):
    for part in set("abcd") - set(present):
        (copy / f"part_{part}.ipynb").unlink()
    assert len(results.build_report(copy)) == len(present) + 1
    page = read(copy)
    for part in "abcd":
        section = page.select_one(f"#part-{part}")
        said = f"Part {part.upper()} has not been run." in text_of(section)
        assert said == (f"python -m helpers {part}" in text_of(section)) == (part not in present)
        assert bool(section.select("figure img")) == (part in present)


def test_an_empty_folder_gives_a_report_that_says_so(tmp_path):
    assert results.build_report(tmp_path) == [tmp_path / "report.html"]
    text = text_of(read(tmp_path))
    assert "parts A, B, C, D of A, B, C, D are missing" in text
    assert "No table of runs." in text


MODEL = "best_model.json", "best_model_weights.npy"
OTHERS = "hyperparameter_tune.csv", "Part_B_grad_weight.txt", "timing.json"
DAMAGES = {
    "no cell id": lambda nb: nb["cells"][0].pop("id"),
    "cell type": lambda nb: nb["cells"][0].update(cell_type="poem" * 99),
    "old format": lambda nb: nb.update(nbformat=3),
    "parameters": lambda nb: nb["cells"][1].update(source="output_dir = (\n"),
    "record": lambda nb: nb["cells"][-1]["outputs"][0]["data"][RECORD].pop("name"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_notebook_cannot_be_read_for_one_reason(copy, damage, capfd):
    content = json.loads((copy / "part_b.ipynb").read_text("utf-8"))
    DAMAGES[damage](content)
    (copy / "part_b.ipynb").write_text(json.dumps(content), "utf-8")
    section = text_of(read_again(copy).select_one("#part-b"))
    assert section.startswith("Part B Cannot be read: part_b.ipynb. ")
    assert len(section) < 400
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["part_b.ipynb", *MODEL, *OTHERS])
@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_a_file_cut_off_or_of_another_kind_is_named(copy, name, content):
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(whole[: len(whole) // 2] if content is None else content)
    notes = " ".join(text_of(note) for note in read_again(copy).select(".note"))
    assert f"Cannot be read: {name}".replace("_weights.npy", ".json") in notes


def test_no_page_lets_in_a_script_or_names_anything_to_load(built):
    for name in ("report.html", "part_a.html", "part_d.html"):
        page = read(built, name)
        policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
        rules = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-"
        assert policy.startswith(rules) and "http" not in policy
        assert {tag["src"][:5] for tag in page.select("[src]")} == {"data:"}
        assert [tag["href"] for tag in page.select("link")] == ["data:,"]
        assert not re.search(r"url\(|@import", page.find("style").text)


FORMULAS = {
    r"\text{a & b < c}": "a\xa0&\xa0b\xa0<\xa0c",
    r"\begin{align*} a &= b \\ c &= d \end{align*}": "a=bc=d",
    r"-\log p_y": "−logpy",
}


def test_formulas_are_well_formed_mathml_or_shown_as_source():
    for latex, text in FORMULAS.items():
        formula = ElementTree.fromstring(pages.mathml(latex, block=True)).find("math")
        assert "".join(formula.itertext()) == text
        assert formula.get("display") == "block"
    assert pages.mathml(r"\left(\frac < ") == r'<code class="formula">\left(\frac &lt;</code>'


def test_markdown_knows_formulas_tables_and_code():
    html = BeautifulSoup(pages.markdown("`a_b` $x$ costs 5\\$\n\n|u|\n|-|\n|$$y$$|"), "html.parser")
    assert html.code.text == "a_b"
    assert [formula["alttext"] for formula in html.find_all("math")] == ["x", "y"]
    assert "costs 5$" in html.text
    assert html.find("td")


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
    count = """return [...document.querySelectorAll(arguments[0])]
        .filter(e => e.checkVisibility()).length"""
    assert browser.execute_script(count, "nav, .filters") == 0
    rows = browser.execute_script(count, ".runs tbody tr")
    assert rows == {"report.html": 162, "part_a.html": 0}[page]


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

    def choose(name, value):
        select = opened.find_element("css selector", f"select[data-column={name}]")
        Select(select).select_by_visible_text(str(value))

    shown = opened.find_element("css selector", ".filters output")
    assert shown.text == "162 of 162 runs shown"
    choose("num_hidden_layers", 3)
    choose("learning_rate", 0.005)
    assert shown.text == "18 of 162 runs shown"
    opened.find_element("css selector", "th[data-column=accuracy] button").click()
    table, _ = shown_runs(opened)
    assert len(table) == 18
    assert set(table.num_hidden_layers + " " + table.learning_rate) == {"3 0.005"}
    opened.find_element("css selector", ".filters button").click()
    WebDriverWait(opened, 10).until(lambda page: shown.text == "162 of 162 runs shown")
    assert len(shown_runs(opened)[0]) == 162


def test_every_control_has_a_name_and_can_be_reached(opened):
    script = """return [...document.querySelectorAll("button, select, a, [role=region]")]
        .map(e => [e.tabIndex, (e.ariaLabel || e.labels?.[0]?.innerText || e.innerText).trim()])"""
    found = opened.execute_script(script)
    assert len(found) > 20
    assert all(index == 0 and name for index, name in found)
