"""The report says what the files say, and works in a real browser without any network.

The browser tests drive the system's Chromium; they are skipped where there is none.
"""

import base64
import itertools
import os
import random
import shutil
import subprocess
from xml.etree import ElementTree

import nbformat
import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure as MatplotlibFigure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers import files, models
from helpers.figures import drawing as figures
from helpers.grid import table as grid_table
from helpers.notebook.parameters import FULL
from helpers.notebook.records import RECORD, VARIES, Record
from helpers.report import pages
from helpers.report import results as report
from helpers.sgd import Recipe

PARAMETERS = {
    "a": "hidden_layers = [64, 64, 64]  # units\nnum_epochs = 10\noutput_dir = 'outputs/quick'",
    "b": "num_examples = 5\noutput_dir = 'outputs/quick'",
    "c": "num_units = [30, 50]\nnum_epochs = [2, 4]\nresume = False\noutput_dir = 'outputs/quick'",
    "d": "model_dir = 'outputs/quick'\nnum_images = 8\noutput_dir = 'outputs/quick'",
}
RECORDS = {
    "a": [
        Record("start loss", 2.3197, "rel", 0.05),
        Record("test accuracy", 0.8712, "abs", 0.008),
    ],
    "b": [
        Record("check_grad", 3.9e-06, "at_most", 1e-05),
        Record("values in Part_B_grad_weight.txt", 59210, "exactly", 0),
    ],
    "c": [
        Record("grid rows", 162, "exactly", 0),
        Record("best validation accuracy", 0.8912, "abs", 0.02),
        Record("test accuracy, best of the grid", 0.8763, "abs", 0.02),
        Record("a <b>bold</b> & odd name", 1.5, "abs", 0.1),
    ],
    "d": [Record("dead units", 3, "exactly", 0)],
}
TITLES = {
    "a": "Part A: training a network",
    "b": "Part B: is the gradient right?",
    "c": "Part C: which hyperparameters are best?",
    "d": "Part D: what the first layer learned",
}
ALT = 'Curve "one" <script>alert(1)</script> & more'
CAPTION = "Good: the curve *falls*. Bad: $\\hat y < 0$ & <i>rises</i>."
PROSE = """# {title}

Every network computes $z = W x + b$ and then

$$
\\hat y_k = \\frac{{e^{{z_k}}}}{{\\sum_j e^{{z_j}}}}
$$

| model | accuracy |
|---|---|
| linear | 84 % |

and a much longer line of prose, so that a narrow screen has something to break: helpers.network.
"""
CODE = """for epoch in range(3):  # a line longer than a telephone is wide, which has to be scrolled
    print('<b>not bold</b>', epoch)"""


def picture(seed):
    """A PNG in base64, different for each seed."""
    fig = MatplotlibFigure(figsize=(figures.WIDTH, 2.5))
    points = [random.Random(seed + k).random() for k in range(20)]
    axes = fig.subplots()
    axes.plot(points)
    axes.set(title="A curve that is drawn at random", xlabel="epoch", ylabel="loss")
    return base64.b64encode(figures.png(fig)).decode()


def displayed(data, **metadata):
    return new_output("display_data", data=data, metadata=metadata)


def notebook(part, injected=""):
    """An executed notebook with figures, a line that varies, two pictures and prose."""
    tagged = {"tags": ["parameters"]}
    cells = [
        new_markdown_cell(PROSE.format(title=TITLES[part])),
        new_code_cell(PARAMETERS[part], metadata=tagged),
    ]
    if injected:
        cells.append(new_code_cell(injected, metadata={"tags": ["injected-parameters"]}))
    records = [displayed({"text/plain": str(each), RECORD: vars(each)}) for each in RECORDS[part]]
    varying = displayed({"text/plain": f"part {part} took 12 s <on> 2 cores", VARIES: {}})
    printed = new_output("stream", name="stdout", text="<b>not bold</b> 0\n")
    cells.append(new_code_cell(CODE, outputs=[printed, *records, varying]))
    for k in range(2):
        described = {"image/png": {"alt": ALT, "width": 737}, "caption": CAPTION}
        shown = displayed({"image/png": picture(10 * ord(part) + k)}, **described)
        caption = displayed({"text/markdown": f"*{CAPTION}*", "text/plain": CAPTION})
        cells.append(new_code_cell("figures.show(fig)", outputs=[shown, caption]))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:02d}"
    return new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})


def grid_rows():
    """All 162 rows of the full grid, with figures of a seeded generator; two diverged."""
    draw = random.Random(1)
    full = FULL["c"]
    rows = []
    for values in itertools.product(*(full[name] for name in grid_table.FACTORS)):
        row = dict(zip(grid_table.FACTORS, values, strict=True))
        row |= {"alpha": 0.0, "seed": 0, "diverged": len(rows) in (7, 70), "fingerprint": "f00d"}
        found = draw.uniform(0.3, 0.6), draw.gauss(0.88, 0.004)
        found = (None, None) if row["diverged"] else found
        rows.append(row | {"cross_entropy": found[0], "accuracy": found[1]})
    return rows


def card():
    recipe = Recipe((784, 50, 50, 50, 10), 100, 32, 0.05)
    summary = {"layers": "784-50-50-50-10", "first_seed": 0.8912, "mean": 0.8823, "sd": 0.004}
    options = [{"name": "L2, average", "mean": 0.899, "sd": None}]
    more = {"machine": {"system": "Linux", "cores": 2}, "grid_seconds": 412.31, "sha256": "00"}
    return models.make_card(
        recipe, 0.41, 0.8912, repeats=[summary], beyond_grid={"options": options}, **more
    )


def fill(folder):
    """Write a whole output folder."""
    for part in "abcd":
        where = 'output_dir = "outputs"' + ('\nmodel_dir = "outputs"' if part == "d" else "")
        nbformat.write(notebook(part, where), folder / f"part_{part}.ipynb")
    grid_table.write_table(folder / "hyperparameter_tune.csv", grid_rows())
    files.write_json(folder / "best_model.json", card())
    values = "".join(f"Value {i}: {i / 7}\n" for i in range(25))
    files.write_text(folder / "Part_B_grad_weight.txt", "check_grad: 3.9e-06\n" + values)
    (folder / "weight_photo.png").write_bytes(base64.b64decode(picture(0)))
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = fill(tmp_path_factory.mktemp("outputs"))
    report.build_report(folder)
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


def text_of(element):
    return " ".join(element.get_text(" ").split())


def cells_of(table):
    return [[text_of(cell) for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")]


def test_names_the_files_it_wrote(copy, tmp_path):
    target = tmp_path / "staging"
    target.mkdir()
    written = report.build_report(copy, target)
    assert sorted(target.iterdir()) == sorted(written)
    assert {path.name for path in written} == {
        "report.html",
        *(f"part_{part}.html" for part in "abcd"),
    }


def test_same_files_give_the_same_pages(copy, tmp_path, monkeypatch):
    targets = tmp_path / "one", tmp_path / "two"
    for target in targets:
        target.mkdir()
        monkeypatch.chdir(target)
        report.build_report(copy, target)
    one, two = ([path.read_bytes() for path in sorted(target.iterdir())] for target in targets)
    assert one == two


def test_headlines_stand_beside_the_reference(built):
    assert cells_of(read(built).select_one("#headline table"))[1:] == [
        ["test accuracy", "87.12 %", "–", "± 0.8 points", "part A"],
        ["check_grad", "3.9e-06", "6.09e-06, 3.53e-06", "at most 1e-05", "part B"],
        ["values in Part_B_grad_weight.txt", "59,210", "59,210", "exact", "part B"],
        ["grid rows", "162", "162", "exact", "part C"],
        ["best validation accuracy", "89.12 %", "88.94 %", "± 2 points", "part C"],
        ["test accuracy, best of the grid", "87.63 %", "–", "± 2 points", "part C"],
    ]


def test_each_headline_leads_to_the_cell_that_recorded_it(built):
    for link in read(built).select("#headline a"):
        name, _, anchor = link["href"].partition("#")
        assert read(built, name).find(id=anchor).select(".output_area")


@pytest.mark.parametrize("part", "abcd")
def test_each_part_lists_all_its_figures(built, part):
    rows = cells_of(read(built).select_one(f"#part-{part} table"))[1:]
    assert [row[0] for row in rows] == [record.name for record in RECORDS[part]]


@pytest.mark.parametrize("part", "abcd")
def test_headlines_are_recorded_by_the_notebooks(part):
    path = files.NOTEBOOKS / f"part_{part}.ipynb"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    recorded = {figure.key for figure in report.PartRun.read(path).figures}
    assert {key for key in report.HEADLINES if key[0] == part} <= recorded


def test_table_of_runs_holds_every_row_best_first(built):
    rows = [
        [cell["data-value"] for cell in row.find_all("td")]
        for row in read(built).select("table.runs tbody tr")
    ]
    numbers = [tuple(float(value) if value else None for value in row) for row in rows]
    names = ("accuracy", "cross_entropy", *grid_table.FACTORS)
    expected = [tuple(row[name] for name in names) for row in grid_rows()]
    assert len(numbers) == 162
    assert set(numbers) == set(expected)
    scores = [row[0] for row in numbers[:160]]
    assert scores == sorted(scores, reverse=True)
    assert [row[0] for row in numbers[160:]] == [None, None]


def test_every_picture_is_embedded_with_its_texts(built):
    images = read(built).select("figure img")
    expected = [picture(10 * ord(part) + k) for part in "abcd" for k in range(2)]
    assert [image["src"].partition(",")[2] for image in images] == [*expected, picture(0)]
    assert {image["alt"] for image in images[:-1]} == {ALT}
    caption = images[0].find_next("figcaption")
    assert caption.find("em").text == "falls"
    assert caption.find("math")["alttext"] == "\\hat y < 0"
    assert "<i>rises</i>" in text_of(caption)


def test_the_picture_of_the_weights_is_not_shown_twice(copy):
    (copy / "weight_photo.png").write_bytes(base64.b64decode(picture(10 * ord("d"))))
    report.build_report(copy)
    assert len(read(copy).select("figure img")) == 8


def test_special_characters_are_text(built):
    page = read(built)
    assert len(page.find_all("script")) == 1
    assert not page.select("#part-c b:-soup-contains('bold')")
    assert "a <b>bold</b> & odd name" in text_of(page.select_one("#part-c"))
    assert "took 12 s <on> 2 cores" in text_of(page.select_one("#environment"))
    part = read(built, "part_a.html")
    assert not part.find_all("script")
    assert "<b>not bold</b> 0" in text_of(part.select_one(".output_stream"))


def test_card_and_text_file_are_told(built):
    environment = text_of(read(built).select_one("#environment"))
    for fact in ("learning rate 0.05", "layers 784-50-50-50-10", "cores 2", "412.3"):
        assert fact in environment
    assert "holds 25 finite differences" in text_of(read(built).select_one("#part-b"))
    tables = [cells_of(table) for table in read(built).select("#part-c table.wide")]
    assert tables[0][1] == ["784-50-50-50-10", "89.12 %", "88.23 %", "0.40 %"]
    assert tables[1][1] == ["L2, average", "89.90 %", "–"]


@pytest.mark.parametrize("present", ["", "a", "bd", "acd"])
def test_missing_parts_are_said_and_the_rest_is_shown(copy, present):
    for part in set("abcd") - set(present):
        (copy / f"part_{part}.ipynb").unlink()
    written = report.build_report(copy)
    assert len(written) == len(present) + 1
    page = read(copy)
    for part in "abcd":
        section = text_of(page.select_one(f"#part-{part}"))
        said = f"Part {part.upper()} has not been run." in section
        assert said == (part not in present)
        assert (f"python -m helpers {part}" in section) == said
        assert bool(page.select(f"#part-{part} figure img[alt*=Curve]")) == (part in present)


def test_an_empty_folder_gives_a_report_that_says_so(tmp_path):
    assert report.build_report(tmp_path) == [tmp_path / "report.html"]
    text = text_of(read(tmp_path))
    assert "parts A, B, C, D of A, B, C, D are missing" in text
    assert "No table of runs." in text


@pytest.mark.parametrize("name", ["part_b.ipynb", "hyperparameter_tune.csv", "best_model.json"])
def test_a_file_cut_off_is_named(copy, name):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    report.build_report(copy)
    notes = " ".join(text_of(note) for note in read(copy).select(".note"))
    assert "Cannot be read:" in notes
    assert name in notes


def test_no_page_names_anything_to_load(built):
    for name in ("report.html", "part_a.html", "part_d.html"):
        page = read(built, name)
        policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
        assert policy.startswith("default-src 'none'")
        assert "http" not in policy
        sources = [tag["src"] for tag in page.select("[src]")]
        assert sources
        assert all(source.startswith("data:") for source in sources)
        assert [tag["href"] for tag in page.select("link")] == ["data:,"]
        style = page.find("style").text
        assert "url(" not in style
        assert "@import" not in style


@pytest.mark.parametrize(
    ("part", "injected", "command"),
    [
        ("a", {}, "python -m helpers a --quick"),
        ("a", {"output_dir": "outputs"}, "python -m helpers a"),
        (
            "a",
            {"hidden_layers": [32], "num_epochs": 3, "output_dir": "outputs"},
            "python -m helpers a -p hidden_layers 32 -p num_epochs 3",
        ),
        ("c", {"resume": True}, "python -m helpers c --quick"),
        ("c", {**FULL["c"], "output_dir": "outputs"}, "python -m helpers c"),
        (
            "c",
            {**FULL["c"], "num_units": [60, 70], "output_dir": "elsewhere/my runs"},
            "python -m helpers c -p num_units 60,70 --output 'elsewhere/my runs'",
        ),
        ("d", {"model_dir": "outputs", "output_dir": "outputs"}, "python -m helpers d"),
        (
            "d",
            {"model_dir": "outputs"},
            "python -m helpers d --quick -p model_dir outputs",
        ),
    ],
)
def test_command_repeats_the_run(tmp_path, part, injected, command):
    cell = "\n".join(f"{name} = {value!r}" for name, value in injected.items())
    nbformat.write(notebook(part, cell), tmp_path / f"part_{part}.ipynb")
    assert report.PartRun.read(tmp_path / f"part_{part}.ipynb").command == command


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\text{a & b < c}", "a & b < c".replace(" ", "\xa0")),
        (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "a=bc=d"),
        (r"\begin{equation} x < y \end{equation}", "x<y"),
        (r"-\log p_y", "−logpy"),
    ],
)
def test_formulas_are_well_formed_mathml(latex, text):
    formula = ElementTree.fromstring(pages.mathml(latex, block=True)).find("math")
    assert "".join(formula.itertext()) == text
    assert formula.get("display") == "block"


def test_a_formula_that_cannot_be_converted_is_shown_as_source():
    assert pages.mathml(r"\left(\frac < ") == r'<code class="formula">\left(\frac &lt;</code>'


def test_markdown_knows_formulas_tables_and_code():
    html = BeautifulSoup(pages.markdown("`a_b` $x$ costs 5\\$\n\n|u|\n|-|\n|$$y$$|"), "html.parser")
    assert html.code.text == "a_b"
    assert [formula["alttext"] for formula in html.find_all("math")] == ["x", "y"]
    assert "costs 5$" in html.text
    assert html.find("td")


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMEDRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
PAPER = {"width": 700, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
"""A4 without its margins: 18.6 cm are 703 CSS pixels."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("no Chromium with chromedriver is installed")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    service = webdriver.ChromeService(CHROMEDRIVER, env=os.environ | {"SE_OFFLINE": "true"})
    driver = webdriver.Chrome(options, service)
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, built):
    """The report, on a screen of the usual size."""
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    browser.get((built / "report.html").as_uri())
    return browser


PAGES = pytest.mark.parametrize("page", ["report.html", "part_a.html"])


@PAGES
def test_opens_from_disk_without_error_or_request(browser, built, page):
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get((built / page).as_uri())
    assert browser.get_log("browser") == []
    sent = [entry["message"] for entry in browser.get_log("performance")]
    sent = [message for message in sent if "Network.requestWillBeSent" in message]
    assert any(f"/{page}" in message for message in sent)
    assert not [message for message in sent if '"url":"http' in message]
    images = "return [...document.images].map(i => [i.complete && i.naturalWidth > 0, i.alt])"
    found = browser.execute_script(images)
    assert len(found) == {"report.html": 9, "part_a.html": 2}[page]
    assert all(loaded and alt for loaded, alt in found)


@PAGES
def test_nothing_is_wider_than_a_phone(browser, built, page):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    browser.get((built / page).as_uri())
    wide = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    assert browser.execute_script(wide) == [360, 360]


@PAGES
def test_printed_text_is_large_enough_and_fits_the_paper(browser, built, page):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PAPER)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.get((built / page).as_uri())
    sizes = """return [...document.querySelectorAll("body *:not(script, math, math *)")]
        .filter(e => e.checkVisibility() &&
                     [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
        .map(e => [parseFloat(getComputedStyle(e).fontSize), e.outerHTML.slice(0, 80)])"""
    found = browser.execute_script(sizes)
    assert len(found) > 10
    assert [each for each in found if each[0] < 12] == []
    wide = "return document.documentElement.scrollWidth"
    assert browser.execute_script(wide) <= PAPER["width"]


def test_prints_all_rows_with_headings_and_without_controls(opened, tmp_path):
    printed = opened.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    content = base64.b64decode(printed["data"])
    assert content.startswith(b"%PDF")
    if not shutil.which("pdftotext"):
        pytest.skip("printed; pdftotext, which would read it, is not installed")
    (tmp_path / "report.pdf").write_bytes(content)
    subprocess.run(["pdftotext", "-layout", "report.pdf"], cwd=tmp_path, check=True)
    sheets = (tmp_path / "report.pdf").with_suffix(".txt").read_text("utf-8").split("\f")
    rows = [row for row in grid_rows() if not row["diverged"]]
    for row in rows:
        figures_of_row = f"{row['cross_entropy']:.4f}", f"{row['accuracy']:.2%}".replace("%", " %")
        assert any(figures_of_row[0] in sheet and figures_of_row[1] in sheet for sheet in sheets)
    continued = [sheet for sheet in sheets if sheet.count(" %") > 30]
    assert len(continued) > 2
    assert all("cross-entropy" in sheet for sheet in continued)
    assert "show all" not in "".join(sheets)


def column(browser, name):
    """The values shown in a column of the table of runs, from top to bottom."""
    script = """const at = [...document.querySelectorAll(".runs th")]
        .findIndex(cell => cell.dataset.column === arguments[0]);
        return [...document.querySelectorAll(".runs tbody tr:not([hidden])")]
        .map(row => row.cells[at].dataset.value)"""
    return browser.execute_script(script, name)


def sorted_by(browser):
    script = """return [...document.querySelectorAll(".runs th[aria-sort]")]
        .map(cell => [cell.dataset.column, cell.ariaSort])"""
    return browser.execute_script(script)


def test_headings_sort_by_mouse_and_by_keyboard(opened):
    from selenium.webdriver.common.keys import Keys

    assert sorted_by(opened) == [["accuracy", "descending"]]
    button = opened.find_element("css selector", "th[data-column=cross_entropy] button")
    for press, order in ((button.click, "ascending"), (None, "descending")):
        press() if press else button.send_keys(Keys.ENTER)
        assert sorted_by(opened) == [["cross_entropy", order]]
        values = column(opened, "cross_entropy")
        assert values[160:] == ["", ""]
        numbers = [float(value) for value in values[:160]]
        assert numbers == sorted(numbers, reverse=order == "descending")


def test_filters_combine_and_are_taken_back(opened):
    def choose(name, value):
        selector = f"select[data-column={name}] option[value='{value}']"
        opened.find_element("css selector", selector).click()

    shown = opened.find_element("css selector", ".filters output")
    assert shown.text == "162 of 162 runs shown"
    choose("num_hidden_layers", 3)
    choose("learning_rate", 0.005)
    assert shown.text == "18 of 162 runs shown"
    assert set(column(opened, "num_hidden_layers")) == {"3"}
    assert set(column(opened, "learning_rate")) == {"0.005"}
    opened.find_element("css selector", "th[data-column=accuracy] button").click()
    assert len(column(opened, "accuracy")) == 18
    opened.find_element("css selector", ".filters button").click()
    assert len(column(opened, "accuracy")) == 162
    assert shown.text == "162 of 162 runs shown"


def test_every_control_has_a_name_and_can_be_reached(opened):
    script = """return [...document.querySelectorAll("button, select, a, [role=region]")]
        .map(e => [e.tabIndex, (e.ariaLabel || e.labels?.[0]?.innerText || e.innerText).trim()])"""
    found = opened.execute_script(script)
    assert len(found) > 20
    assert all(index == 0 and name for index, name in found)
