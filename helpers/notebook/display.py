"""Show something in a notebook, or as plain text where its cells run as a script."""

from IPython.core.getipython import get_ipython


def show(data, **options):
    """Display data by MIME type; `options` are those of `IPython.display.display`.

    Without a notebook, as in ``python part_a.py`` made by nbconvert, it prints ``text/plain``.
    """
    if get_ipython() is None:
        print(data["text/plain"])
    else:
        from IPython.display import display  # takes a while outside a notebook

        display(data, raw=True, **options)
