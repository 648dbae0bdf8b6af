"""The report says what the files say, names what is missing or damaged, and loads nothing."""

import json
import re
import shutil
from xml.etree import ElementTree

import nbformat
import pytest
from bs4 import BeautifulSoup

from helpers import files
from helpers.notebook.records import RECORD, Record, read_records
from helpers.report import pages, results, runs
from tests.report.folders import ALT, RECORDS, picture, write_part


@pytest.fixture
def copy(built, tmp_path):
    """The folder without its pages, to be damaged."""
    return shutil.copytree(built, tmp_path / "copy", ignore=shutil.ignore_patterns("*.html"))


def read(folder, name="report.html"):
    return BeautifulSoup((folder / name).read_text("utf-8"), "html.parser")


def read_again(folder):
    results.build_report(folder)
    return read(folder)


def text_of(element):
    return " ".join(element.get_text(" ").split())


def cells_of(table):
    return [[text_of(cell) for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")]


# ---- what a whole folder gives


def test_pages_depend_on_the_files_alone_and_on_no_time_or_machine(built, copy, tmp_path):
    files.write_json(copy / "timing.json", {"machine": {"system": "Plan 9"}})
    written = results.build_report(copy, tmp_path)
    assert {path.name for path in written} == {path.name for path in built.glob("*.html")}
    for path in written:
        assert path.read_bytes() == (built / path.name).read_bytes()


def test_every_file_is_linked(built):
    linked = {link["href"] for link in read(built).select("#files a, #runs a")}
    assert linked == {path.name for path in built.iterdir() if path.suffix != ".html"}


def test_headlines_stand_beside_the_reference(built):
    assert cells_of(read(built).select_one("#headline table"))[1:] == [
        ["A: test accuracy", "87.12 %", "–", "a rerun may differ by 1 point"],
        ["B: check_grad", "3.9e-06", "6.09e-06, 3.53e-06", "must be at most 1e-05"],
        ["C: grid rows", "162", "162", "the same in every run"],
        ["C: best validation accuracy", "88.65 %", "88.94 %", "a rerun may differ by 0.2 points"],
    ]


@pytest.mark.parametrize("part", "abcd")
def test_headlines_are_recorded_by_the_notebooks(part):
    recorded = read_records(nbformat.read(files.OUTPUTS / f"part_{part}.ipynb", as_version=4))
    assert runs.HEADLINES[part].keys() <= recorded.keys()


def test_every_value_is_listed_once_and_leads_to_its_cell(built):
    page = read(built)
    for part, records in RECORDS.items():
        links = page.select(f'table a[href="part_{part}.html#cell-id=shown"]')
        assert sorted(link.text for link in links) == sorted(r.name for r in records)
        assert read(built, f"part_{part}.html").find(id="cell-id=shown").select(".output_area")


def test_runs_stand_in_the_order_of_their_accuracy_and_those_that_diverged_last(built):
    rows = cells_of(read(built).select_one(".runs"))[1:]
    assert {tuple(row[:5]) for row in rows} == {("1", "5", "0.05", "32", "100")}
    assert [row[5:] for row in rows] == [
        ["0.44325", "88.65 %"], ["0.43500", "87.00 %"], ["0.42500", "85.00 %"], ["", "diverged"]
    ]  # fmt: skip


def test_every_picture_is_embedded_once_with_its_texts(built):
    images = read(built).select("figure img")
    assert [image["src"].partition(",")[2] for image in images] == [*map(picture, "abcd")]
    assert {image["alt"] for image in images} == {ALT}
    caption = images[0].find_next("figcaption")
    assert caption.find("em").text == "falls" and caption.find("math")
    assert "<i>rises</i>" in text_of(caption)


FACTS = {
    "#headline p": ["1 hidden layers of 5 units, learning rate 0.05, batch size 32, 100 epochs"],
    "#part-b": ["What is shown a_ row with & in it", "python -m helpers b", "num_examples = 5"],
    "#part-c": ["a <b>bold</b> & odd name", "num_units = [30, 40, 50]"],
    "#runs": ["best_model , weights 784-5-10 100 32 0.05 0.0 0 89.12 %"],
}


@pytest.mark.parametrize("selector", FACTS)
def test_what_the_files_say_is_told_and_is_text(built, selector):
    text = text_of(read(built).select_one(selector))
    assert [fact for fact in FACTS[selector] if fact not in text] == []


def test_says_which_run_it_is(copy):
    assert "Every part shown here ran with the parameters" in text_of(read_again(copy).header)
    write_part(copy, "c", learning_rate=[0.1], num_workers=4)
    page = read_again(copy)
    told = (
        "Not the full run: part C ran with learning_rate = [0.1] (full run: [0.005, 0.01, 0.05])."
    )
    assert told in text_of(page.header)
    assert "Every part" not in text_of(page.header)
    references = [row[2] for row in cells_of(page.select_one("#headline table"))]
    assert references == ["reference", "–", "6.09e-06, 3.53e-06", "–", "–"]


def test_a_failed_value_shows_as_failed(copy, monkeypatch):
    monkeypatch.setitem(RECORDS, "d", [Record("dead units", 3, "at_most", 2)])
    write_part(copy, "d")
    page = read_again(copy)
    assert "FAILED: dead units = 3, must be at most 2" in text_of(page.header)
    assert text_of(page.select_one(".failed td")) == "3 FAILED"


# ---- what is missing or damaged


@pytest.mark.parametrize("present", ["", "a", "bd"])
def test_missing_parts_are_named_and_the_rest_is_shown(tmp_path, present):
    for part in present:
        write_part(tmp_path, part)
    assert len(results.build_report(tmp_path)) == len(present) + 1
    page = read(tmp_path)
    assert "No table of runs." in text_of(page)
    missing = re.findall(r"Part (\w) has not been run\.", text_of(page.header))
    assert "".join(missing).lower() == "".join(sorted({*"abcd"} - {*present}))
    assert len(page.select("figure img")) == len(present)


DAMAGES = {
    "no cell id": lambda notebook: notebook["cells"][0].pop("id"),
    "cell type": lambda notebook: notebook["cells"][0].update(cell_type="poem" * 99),
    "old format": lambda notebook: notebook.update(nbformat=3),
    "record": lambda notebook: notebook["cells"][-1]["outputs"][0]["data"][RECORD].pop("name"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_notebook_cannot_be_read_for_one_reason(copy, damage, capfd):
    content = json.loads((copy / "part_b.ipynb").read_text("utf-8"))
    DAMAGES[damage](content)
    (copy / "part_b.ipynb").write_text(json.dumps(content), "utf-8")
    header = text_of(read_again(copy).header)
    assert "Part B cannot be read. This runs it: python -m helpers b" in header
    [reason] = re.findall(r"Cannot be read: part_b.ipynb \((.+?)\)", header)
    assert 5 < len(reason) <= 150
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("content", [b"", b"{}", None])
@pytest.mark.parametrize("name", ["part_b.ipynb", "best_model.json", "hyperparameter_tune.csv"])
def test_a_file_cut_off_or_of_another_kind_is_named(copy, name, content):
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert f"Cannot be read: {name}" in text_of(read_again(copy).header)


# ---- HTML


@pytest.mark.parametrize("name", ["report.html", "part_a.html"])
def test_no_page_lets_in_a_script_or_names_anything_to_load(built, name):
    page = read(built, name)
    policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert {tag["src"][:5] for tag in page.select("[src]")} == {"data:"}
    assert [tag["href"] for tag in page.select("link")] == ["data:,"]
    assert not re.search(r"url\(|@import", page.find("style").text)
    assert page.find_all("script") == []


FORMULAS = {
    r"x < y": "x<y",
    r"\begin{align*} a &= b \\ c &= d \end{align*}": "a=bc=d",
    r"-\log p_y": "−logpy",
}


def test_formulas_are_well_formed_mathml_or_shown_as_source():
    for latex, text in FORMULAS.items():
        assert "".join(ElementTree.fromstring(pages.mathml(latex)).itertext()) == text
    assert pages.mathml(r"\left(\frac < ") == r"<code>\left(\frac &lt;</code>"
