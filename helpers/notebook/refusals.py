"""Refusals in one line: the value, what is allowed, where to set it.

What is allowed is worded from the JSON schema that pydantic makes of a class of parameters.
"""

import difflib

KINDS = {"integer": "a whole number", "number": "a number"}
KINDS |= {"string": "a text", "boolean": "true or false"}
LONGEST = 80
"""Characters of a refused value that a message shows."""


class OneLineError(ValueError):
    """An error that says all in its message: a notebook shows no traceback above it."""

    def _render_traceback_(self):
        return [f"{type(self).__name__}: {self}"]


class ParameterError(OneLineError):
    """A value has the wrong type or is out of range; the message says what is allowed."""


def unknown(name, accepted):
    """Make the error for a parameter that no chosen part has."""
    close = difflib.get_close_matches(name, accepted, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    listed = ", ".join(sorted(accepted))
    return ParameterError(f"unknown parameter {name!r}: expected one of {listed}{hint}")


def in_words(schema):
    """Say in words what a schema accepts, e.g. "a number above 0"."""
    if "enum" in schema:
        return "one of " + ", ".join(map(repr, schema["enum"]))
    if schema["type"] == "array":
        fewest = "1 or more " if "minItems" in schema else ""
        kind = "different values" if "uniqueItems" in schema else "values"
        return f"a list of {fewest}{kind}, each {in_words(schema['items'])}"
    low = {"minimum": "at least {:,}", "exclusiveMinimum": "above {:,}"}
    high = {"maximum": "at most {:,}", "exclusiveMaximum": "below {:,}"}
    limits = [text.format(schema[key]) for key, text in (low | high).items() if key in schema]
    end = ", not empty" if "minLength" in schema else ""
    return " ".join([KINDS[schema["type"]], " and ".join(limits)]).strip() + end


def expecting(name, state, words):
    """Make the error for a parameter in a state that is not what words say."""
    where = f"set it in the parameters cell or with -p {name} VALUE"
    return ParameterError(f"{state}: expected {words}; {where}")


def refusal(schemas, values, found):
    """Make one line of what pydantic found wrong: what came last, an unknown name if any."""
    if not found["loc"]:
        return found["ctx"]["error"]
    name = found["loc"][0]
    if name not in schemas:
        return unknown(name, schemas)
    schema = schemas[name]
    state = f"{name} = {_short(values[name])}" if name in values else f"{name} is not set"
    hint = _hint(schema.get("items", schema), values.get(name))
    return expecting(name, state, in_words(schema) + hint)


def _hint(schema, value):
    """Explain the commonest slip: a number that arrives as a text."""
    entries = value if isinstance(value, (list, tuple)) else [value]
    if schema["type"] == "string" or not any(isinstance(e, str) for e in entries):
        return ""
    yaml = "; YAML needs 1.0e-3 for 1e-3" if schema["type"] == "number" else ""
    return f" (a text was given: leave out the quotes{yaml})"


def _short(value):
    """Show any value in one line of bearable length."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."
