"""The report says what the files say, names what is missing or damaged, and loads nothing."""

import csv
import json
import re
import shutil
from xml.etree import ElementTree

import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from helpers import files
from helpers.grid import table as grid_table
from helpers.notebook.records import RECORD, Record, read_records
from helpers.report import comparison, pages, results, runs
from tests.report.folders import ALT, RECORDS, grid_rows, picture, write_part


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


# ---- what a whole folder gives


def test_same_files_give_the_same_pages(copy, tmp_path):
    made = []
    for target in tmp_path / "one", tmp_path / "two":
        target.mkdir()
        written = results.build_report(copy, target)
        assert sorted(target.iterdir()) == sorted(written)
        made.append({path.name: path.read_bytes() for path in written})
    assert made[0] == made[1]
    assert made[0].keys() == {"report.html", *(f"part_{part}.html" for part in "abcd")}


def test_what_the_assignment_asks_for_comes_first(built):
    first, *_ = read(built).select("main section")
    rows = cells_of(first.table)[1:]
    assert rows[4][:2] == ["Part_B_grad_weight.txt"] * 2
    assert ["best_model_weights", "best_model_weights.npy"] in [row[:2] for row in rows]


def test_every_line_of_the_list_of_files_is_whole():
    lines = list(csv.reader((results.HERE / "files.csv").read_text("utf-8").splitlines()))
    assert {len(line) for line in lines} == {3}


def test_every_file_is_linked(built):
    linked = {link["href"] for link in read(built).select("#files a, #environment a")}
    assert linked == {path.name for path in built.iterdir() if path.suffix != ".html"}


def test_headlines_stand_beside_the_reference(built):
    assert cells_of(read(built).select_one("#headline table"))[1:] == [
        ["A: test accuracy", "87.12 %", "–", "a rerun may differ by 1 point"],
        ["B: check_grad", "3.9e-06", "6.09e-06, 3.53e-06", "must be at most 1e-05"],
        ["B: values in Part_B_grad_weight.txt", "59,210", "59,210", "the same in every run"],
        ["C: grid rows", "162", "162", "the same in every run"],
        ["C: best validation accuracy", "88.65 %", "88.94 %", "a rerun may differ by 2 points"],
        ["C: test accuracy, best of the grid", "87.63 %", "–", "a rerun may differ by 2 points"],
    ]


@pytest.mark.parametrize("part", "abcd")
def test_headlines_are_recorded_by_the_notebooks(part):
    recorded = read_records(nbformat.read(files.OUTPUTS / f"part_{part}.ipynb", as_version=4))
    assert runs.HEADLINES[part].keys() <= recorded.keys()


def test_comparison_with_the_reference_by_hand():
    # p = 0.9 on 900 images: sqrt(0.9 * 0.1 / 900) = 0.01; 0.9 is 1.06 points above 0.8894
    assert comparison.standard_error(0.9, 900) == pytest.approx(0.01)
    said = comparison.against_reference(0.9, 900)
    assert "90.00 % is 1.06 points more: 1.1 standard errors (1.00 points on 900 images)" in said
    said = comparison.against_reference(0.88, 900)
    assert "88.00 % is 0.94 points less: less than one standard error (1.08 points" in said


def test_every_value_is_listed_once_and_leads_to_its_cell(built):
    page = read(built)
    for part, records in RECORDS.items():
        links = page.select(f'table a[href^="part_{part}.html#"]')
        assert sorted(link.text for link in links) == sorted(r.name for r in records)
        for link in links:
            anchor = link["href"].partition("#")[2]
            assert read(built, f"part_{part}.html").find(id=anchor).select(".output_area")


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
    "#part-c": ["a <b>bold</b> & odd name", "best_model 784-5-10 100 32 0.05 0 50 89.12 %"],
    "#runs": ["The same in all runs: L2 0, seed 0."],
    "#reproduce": ["python -m helpers a ", "python -m helpers b "],
    "#environment": ["system Linux", "grid 412.3", f"numpy {np.__version__}", "s <on> 2 cores"],
}


@pytest.mark.parametrize("selector", FACTS)
def test_what_the_files_say_is_told_and_is_text(built, selector):
    text = text_of(read(built).select_one(selector))
    assert [fact for fact in FACTS[selector] if fact not in text] == []


def test_says_which_run_it_is(copy):
    write_part(copy, "a", hidden_layers=(64, 64, 64))
    assert "Full run:" in text_of(read_again(copy).header)
    write_part(copy, "a", learning_rate=0.05)
    header = text_of(read_again(copy).header)
    assert "Changed parameters: part A ran with learning_rate = 0.05 (full run: 0.01)." in header
    assert "Full run:" not in header
    write_part(copy, "c", full=False)
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


# ---- what is missing or damaged


@pytest.mark.parametrize("present", ["", "a", "bd"])
def test_missing_parts_are_named_and_the_rest_is_shown(tmp_path, present):
    for part in present:
        write_part(tmp_path, part)
    assert len(results.build_report(tmp_path)) == len(present) + 1
    page = read(tmp_path)
    assert "No table of runs." in text_of(page)
    for part in "abcd":
        section = page.select_one(f"#part-{part}")
        assert ("has not been run" in text_of(section)) == (part not in present)
        assert bool(section.select("figure img")) == (part in present)


DAMAGES = {
    "no cell id": lambda nb: nb["cells"][0].pop("id"),
    "cell type": lambda nb: nb["cells"][0].update(cell_type="poem" * 99),
    "old format": lambda nb: nb.update(nbformat=3),
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


NAMES = ["part_b.ipynb", "best_model.json", "best_model_weights.npy", "hyperparameter_tune.csv"]
NAMES += ["Part_B_grad_weight.txt", "timing.json"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_a_file_cut_off_or_of_another_kind_is_named(copy, name, content):
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(whole[: len(whole) // 2] if content is None else content)
    notes = " ".join(text_of(note) for note in read_again(copy).select(".note"))
    assert f"Cannot be read: {name}".replace("_weights.npy", ".json") in notes


# ---- HTML


def test_no_page_lets_in_a_script_or_names_anything_to_load(built):
    for name in ("report.html", "part_a.html", "part_d.html"):
        page = read(built, name)
        policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
        rules = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-"
        assert policy.startswith(rules) and "http" not in policy
        assert {tag["src"][:5] for tag in page.select("[src]")} == {"data:"}
        assert [tag["href"] for tag in page.select("link")] == ["data:,"]
        assert not re.search(r"url\(|@import", page.find("style").text)
        assert len(page.find_all("script")) == (name == "report.html")


FORMULAS = {
    r"\text{a & b < c}": "a\xa0&\xa0b\xa0<\xa0c",
    r"\begin{align*} a &= b \\ c &= d \end{align*}": "a=bc=d",
    r"-\log p_y": "−logpy",
}


def test_formulas_are_well_formed_mathml_or_shown_as_source():
    for latex, text in FORMULAS.items():
        formula = ElementTree.fromstring(pages.mathml(latex, block=True)).find("math")
        assert "".join(formula.itertext()) == text
    assert pages.mathml(r"\left(\frac < ") == r'<code class="formula">\left(\frac &lt;</code>'
