"""Markdown, formulas and executed notebooks as HTML that needs no network.

Formulas become MathML, which browsers draw themselves, so no script is loaded to typeset them.
Left out: the look of the pages (report.css) and what the report says (`helpers.report.results`).
"""

import html
import re
from functools import partial
from xml.etree import ElementTree

from latex2mathml.converter import convert_to_element
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath


def mathml(latex, block=False):
    """Turn a formula, without dollar signs, into MathML; what cannot be converted stays."""
    try:
        tree = convert_to_element(latex.strip(), display="block" if block else "inline")
    except Exception:  # the converter documents no set of errors; any of them means the same here
        return f'<code class="formula">{html.escape(latex.strip())}</code>'
    for element in tree.iter():
        _mend(element)
    tree.attrib = {"display": tree.get("display"), "alttext": latex.strip()}
    found = ElementTree.tostring(tree, encoding="unicode")
    return f'<span class="formula">{found}</span>' if block else found


def _mend(element):
    """Make a character of each reference, which would be escaped again, and space out functions."""
    element.text = text = html.unescape(element.text or "") or None
    if text and text.isalpha() and len(text) > 1 and element.tag in ("mi", "mo"):
        element.tag = "mo"
        element.attrib |= {"lspace": "0.1em", "rspace": "0.17em"}


def markdown(text, escape=True):
    """Turn Markdown with formulas into HTML; raw HTML in it is escaped unless told otherwise."""
    renderer = _Renderer(escape=escape, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(text)


def notebook_body(notebook):
    """Turn an executed notebook into a piece of HTML, with the anchors ``cell-id=...``."""
    own = {"markdown2html": partial(markdown, escape=False)}
    prompts = {"exclude_input_prompt": True, "exclude_output_prompt": True}
    exporter = HTMLExporter(template_name="basic", filters=own, **prompts)
    return with_breaks(exporter.from_notebook_node(notebook)[0])


def with_breaks(page):
    """Let the headings of tables break behind an underscore."""
    return re.sub(r"(?<=<th>)[^<]+", lambda text: text[0].replace("_", "_<wbr>"), page)


class _Renderer(IPythonRenderer):
    """nbconvert's renderer of Markdown, with MathML in the place of MathJax."""

    block_math = staticmethod(partial(mathml, block=True))
    inline_math = staticmethod(mathml)

    def latex_environment(self, name, body):
        return mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", block=True)
