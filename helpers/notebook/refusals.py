"""Bad parameters, told in one line: the value, what is allowed, where to set it.

pydantic words the rule that a value breaks; this module adds what a user needs to put it right.
"""

import difflib

from helpers.errors import OneLineError

LONGEST = 80
"""Characters of a refused value that a message shows."""
TEXT_FOR = {"int_type": "", "bool_type": "", "float_type": "; YAML needs 1.0e-3 for 1e-3"}
"""pydantic's names of errors where a text is a number in quotes -> what else may have caused it."""


class ParameterError(OneLineError):
    """A parameter is unknown or has a value that is not allowed; the message says what is."""


def unknown(name, accepted):
    """Make the error for a parameter that no chosen part has."""
    close = difflib.get_close_matches(name, accepted, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    listed = ", ".join(sorted(accepted))
    return ParameterError(f"unknown parameter {name!r}: expected one of {listed}{hint}")


def refusal(fields, values, error):
    """Make one line of what pydantic found wrong: an unknown name, or else the first fault.

    Parameters
    ----------
    fields : dict
        Name of a parameter -> pydantic's `FieldInfo`.
    values : dict
        What was refused.
    error : pydantic.ValidationError
    """
    faults = error.errors()
    for fault in faults:
        if fault["type"] == "extra_forbidden":
            return unknown(fault["loc"][0], fields)
    fault = faults[0]
    name, *position = fault["loc"]
    field = fields[name]
    value = _short(values.get(name, field.default))
    entry = f"entry {_short(fault['input'])} " if position else ""
    rule = entry + _rule(fault) + _hint(fault)
    return ParameterError(f"{name} = {value}: {rule} ({field.description}); {_where(name, field)}")


def _rule(fault):
    """Give the rule that was broken in pydantic's words, without its names of types."""
    words = fault["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return words.replace("tuple", "list").replace("Tuple", "it").replace("String", "it")


def not_set(name, fields):
    """Make the error for a parameter that the parameters cell does not set."""
    return ParameterError(
        f"{name} is not set ({fields[name].description}); {_where(name, fields[name])}"
    )


def _where(name, field):
    """Say where to set a parameter; papermill's -p cannot pass a list."""
    if not isinstance(field.default, tuple):
        return f"set it in the parameters cell or with -p {name} VALUE"
    example = list(field.default)
    short_form = ",".join(map(str, example))
    return (
        f"set it in the parameters cell, with -p {name} {short_form}, "
        f"or with papermill's -y '{name}: {example}'"
    )


def _hint(fault):
    """Explain the commonest slip: a number that arrives as a text."""
    if fault["type"] not in TEXT_FOR or not isinstance(fault["input"], str):
        return ""
    return f", but a text was given: leave out the quotes{TEXT_FOR[fault['type']]}"


def _short(value):
    """Show any value in one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."
