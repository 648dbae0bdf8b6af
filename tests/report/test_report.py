"""The report says what the files say, names what is missing or damaged, and loads nothing."""

import re
import shutil
from xml.etree import ElementTree

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from helpers import files
from helpers.notebook.cells import PARAMETERS, outputs
from helpers.notebook.records import RECORD, read_records
from helpers.report import pages, results, runs

GRID = "hyperparameter_tune.csv"


def read(path):
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


@pytest.fixture(scope="module")
def report(built):
    return read(built / "report.html")


def text_of(element):
    return " ".join(element.get_text(" ").split())


def cells_of(rows):
    return [[text_of(cell) for cell in row.find_all(["th", "td"])] for row in rows]


def recorded(part):
    """Read a notebook of the recorded deliverable."""
    return nbformat.read(files.OUTPUTS / f"part_{part}.ipynb", as_version=4)


def report_on(folder, notebook):
    """Write a notebook of part B into a folder, make the report and read it."""
    nbformat.write(notebook, folder / "part_b.ipynb")
    results.build_report(folder)
    return read(folder / "report.html")


# ---- what a whole folder gives


def test_pages_depend_on_the_files_alone_and_on_no_time_or_machine(tmp_path):
    shutil.copy(files.OUTPUTS / "part_b.ipynb", tmp_path)
    contents = []
    for seconds in 1, 2:
        files.write_json(tmp_path / "timing.json", {"seconds": {"grid": seconds}})
        contents.append([path.read_bytes() for path in results.build_report(tmp_path)])
    assert contents[0] == contents[1]


def test_every_file_is_linked(report):
    linked = {link["href"] for link in report.select("#files a, #runs a")}
    others = [path for path in files.OUTPUTS.glob("[!.]*") if path.is_file()]
    assert linked == {path.name for path in others if path.suffix != ".html"}


@pytest.mark.parametrize("part", "abcd")
def test_every_value_is_listed_once_and_leads_to_its_cell(built, report, part):
    names = read_records(recorded(part)).keys()
    links = report.select(f'table a[href^="part_{part}.html#"]')
    assert sorted(link.text for link in links) == sorted(names)
    assert runs.HEADLINES[part].keys() <= names
    page = read(built / f"part_{part}.html")
    for link in links:
        assert link.text in page.find(id=link["href"].partition("#")[2]).text


def test_headlines_stand_beside_the_reference(report):
    best = pd.read_csv(files.OUTPUTS / GRID).accuracy.max()
    rows = cells_of(report.select("#headline tr"))
    assert ["C: grid rows", "162", "162", "the same in every run"] in rows
    name = "C: best validation accuracy"
    assert [name, f"{100 * best:.2f} %", "88.94 %", "a rerun may differ by 1 point"] in rows


def test_runs_stand_in_the_order_of_their_accuracy_and_those_that_diverged_last(tmp_path):
    table = pd.read_csv(files.OUTPUTS / GRID).head(3)
    table["accuracy"] = 0.85, None, 0.8865
    table["diverged"] = table.accuracy.isna()
    table.assign(cross_entropy=table.accuracy / 2).to_csv(tmp_path / GRID, index=False)
    results.build_report(tmp_path)
    rows = cells_of(read(tmp_path / "report.html").select(".runs tbody tr"))
    assert [row[3:] for row in rows] == [  # from the batch size on
        ["32", "50", "0.44325", "88.65 %"],
        ["16", "50", "0.42500", "85.00 %"],
        ["16", "100", "", "diverged"],
    ]


def test_what_files_say_is_text(tmp_path):
    odd = '<b>bold</b> & "odd"'
    notebook = recorded("b")
    outputs(notebook, RECORD)[-1]["name"] = odd
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.metadata = {"image/png": {"alt": odd}, "caption": rf"*{odd}* $\hat y < 0$"}
    page = report_on(tmp_path, notebook)
    assert page.find("a", string=odd)
    [image] = page.select("figure img")
    assert image["alt"] == odd
    [png] = outputs(notebook, "image/png")
    assert image["src"] == f"data:image/png;base64,{png.strip()}"
    assert page.select_one("figcaption em").text == odd
    assert page.select_one("figcaption math")


def test_says_which_run_it_is_and_what_failed(report, tmp_path):
    assert "Every part shown here ran with the parameters" in text_of(report.header)
    assert report.select(".note") == []
    notebook = recorded("b")
    outputs(notebook, PARAMETERS)[0]["num_examples"] = 6
    outputs(notebook, RECORD)[-1].update(name="a value", value=3, bound="at_most", limit=2)
    page = report_on(tmp_path, notebook)
    header = text_of(page.header)
    assert "Not the full run: part B ran with num_examples = 6 (full run: 5)." in header
    assert "FAILED: a value = 3, must be at most 2" in header
    assert "Every part" not in header
    assert "python -m helpers b -p num_examples 6" in text_of(page)
    assert {row[2] for row in cells_of(page.select("#headline tbody tr"))} == {"–"}


# ---- what is missing or damaged


def test_missing_parts_are_named_and_the_rest_is_shown(tmp_path):
    page = report_on(tmp_path, recorded("b"))
    assert re.findall(r"Part (\w) has not been run\.", text_of(page.header)) == ["A", "C", "D"]
    assert "No table of runs." in text_of(page)
    assert len(page.select("figure img")) == 1


OTHER_KINDS = {
    "empty": "",
    "no notebook and no card": "{}",
    "not of the notebook's schema": '{"nbformat": 4, "nbformat_minor": 5, "cells": [{}]}',
    "an older notebook": '{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}',
    "cut off": None,
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
@pytest.mark.parametrize("name", ["part_b.ipynb", "best_model.json", GRID])
def test_a_damaged_file_is_named_with_one_reason(tmp_path, name, kind, capfd):
    beginning = (files.OUTPUTS / name).read_text("utf-8")[:300]
    content = OTHER_KINDS[kind]
    (tmp_path / name).write_text(beginning if content is None else content, "utf-8")
    results.build_report(tmp_path)
    header = text_of(read(tmp_path / "report.html").header)
    [reason] = re.findall(rf"Cannot be read: {name} \((.+?)\)", header)
    assert 5 < len(reason) <= 150
    assert capfd.readouterr() == ("", "")


# ---- HTML


@pytest.mark.parametrize("name", ["report.html", "part_b.html"])
def test_no_page_lets_in_a_script_or_loads_anything(built, name):
    page = read(built / name)
    policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert {tag["src"][:5] for tag in page.select("[src]")} == {"data:"}


FORMULAS = {
    r"x < y": "x<y",
    r"\begin{align*} a &= b \\ c &= d \end{align*}": "a=bc=d",
    r"-\log p_y": "−logpy",
}


def test_formulas_are_well_formed_mathml_or_shown_as_source():
    for latex, text in FORMULAS.items():
        formula = ElementTree.fromstring(pages.mathml(latex, display="block"))
        assert formula.get("display") == "block"
        assert "".join(formula.itertext()) == text
    assert pages.mathml(r"\left(\frac < ") == r"<code>\left(\frac &lt;</code>"
