"""Markdown, formulas and executed notebooks as HTML that needs no network.

Formulas become MathML, which browsers draw themselves, so no script is loaded to typeset them.
Left out: the look of the pages (report.css) and what the report says (`helpers.report.results`).
"""

import html
import re
from functools import partial

from latex2mathml.converter import convert
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath


def mathml(latex, display="inline"):
    """Turn a formula, without dollar signs, into MathML; what cannot be converted stays."""
    try:
        formula = convert(latex.strip(), display=display)
    except Exception:  # the converter documents no set of errors; any of them means the same here
        return f"<code>{html.escape(latex.strip())}</code>"
    spaced = r'<mo lspace="0.1em" rspace="0.17em">\1</mo>'
    return re.sub(r"<mi>(\w\w+)</mi>", spaced, formula)  # log p, not logp


def markdown(text, escape=True):
    """Turn Markdown with formulas into HTML; raw HTML in it is escaped unless told otherwise."""
    renderer = _Renderer(escape=escape, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(text)


def notebook_body(notebook):
    """Turn an executed notebook into a piece of HTML, with the anchors ``cell-id=...``."""
    exporter = HTMLExporter(
        template_name="basic",
        filters={"markdown2html": partial(markdown, escape=False)},
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    body, _ = exporter.from_notebook_node(notebook)
    return body


class _Renderer(IPythonRenderer):
    """nbconvert's renderer of Markdown, with MathML in the place of MathJax."""

    block_math = staticmethod(partial(mathml, display="block"))
    inline_math = staticmethod(mathml)

    def latex_environment(self, name, body):
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")
