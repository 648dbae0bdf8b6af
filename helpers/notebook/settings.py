"""Values that are checked when they are set: hyperparameters and notebook parameters.

A `Settings` dataclass declares the meaning and the range of each field once. Notebooks, command
line and trainer then refuse a bad value with the same single line, before anything runs. The
defaults of a notebook's parameters live in its parameters cell, not here.
"""

import math
import numbers
from dataclasses import MISSING, dataclass, field, fields
from typing import ClassVar, get_args, get_origin

KINDS = {
    int: ("a whole number", numbers.Integral),
    float: ("a number", numbers.Real),
    str: ("a text", str),
    bool: ("true or false", bool),
}

LONGEST = 80
"""Characters of a refused value that a message shows."""


class SettingError(ValueError):
    """A value has the wrong type or is out of range; the message says what is allowed."""


def setting(meaning, *, default=MISSING, **limits):
    """Declare a field of a `Settings` dataclass.

    Parameters
    ----------
    meaning : str
        A few words for ``--help``.
    default : optional
        A field without one must be given.
    **limits
        ``above``, ``at_least``, ``at_most``: bounds of a number, or of each entry of a list;
        ``one_of``: the values allowed; ``length``: the fewest entries of a list, or
        characters of a text; ``distinct``: whether the entries must differ.

    Returns
    -------
    dataclasses.Field
    """
    return field(default=default, metadata={"meaning": meaning, "limits": limits})


@dataclass(frozen=True)
class Settings:
    """A frozen set of checked values; lists become tuples, whole numbers fit float fields."""

    where: ClassVar[str] = ""

    def __post_init__(self):
        for each in fields(self):
            value = self.check(each.name, getattr(self, each.name))
            object.__setattr__(self, each.name, value)

    @classmethod
    def check(cls, name, value):
        """Convert one field's value to its type, or refuse it.

        Parameters
        ----------
        name : str
        value

        Returns
        -------
        The value in the field's type.

        Raises
        ------
        SettingError
            Names the value, what is allowed, and where to set it.
        """
        declared = {each.name: each for each in fields(cls)}[name]
        limits = declared.metadata.get("limits", {})
        try:
            return _convert(declared.type, value, limits)
        except (ValueError, OverflowError):
            allowed = describe(declared.type, limits) + _hint(declared.type, value)
            where = cls.where.format(name=name)
            raise SettingError(f"{name} = {_short(value)}: expected {allowed}{where}") from None


def describe(kind, limits):
    """Say in words what a field accepts.

    Parameters
    ----------
    kind : type
        int, float, str, bool or a tuple of one of them.
    limits : dict
        See `setting`.

    Returns
    -------
    str
        E.g. ``"a number above 0"``.
    """
    if "one_of" in limits:
        return "one of " + ", ".join(map(repr, limits["one_of"]))
    entry = get_args(kind)[0] if get_origin(kind) is tuple else kind
    words = [KINDS[entry][0]]
    words += [f"{word} {limits[key]:,}" for key, word in BOUNDS.items() if key in limits]
    text = " and ".join([" ".join(words[:2]), *words[2:]])
    if entry is kind:
        return text + (", not empty" if kind is str and "length" in limits else "")
    distinct = "different values" if limits.get("distinct") else "values"
    fewest = limits.get("length", 0)
    return f"a list of {f'{fewest} or more ' if fewest else ''}{distinct}, each {text}"


BOUNDS = {"above": "above", "at_least": "at least", "at_most": "at most"}


def _convert(kind, value, limits):
    if get_origin(kind) is not tuple:
        return _convert_one(kind, value, limits)
    value = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(value, (list, tuple, range)):
        raise ValueError
    entries = tuple(_convert_one(get_args(kind)[0], entry, limits) for entry in value)
    if len(entries) < limits.get("length", 0):
        raise ValueError
    if limits.get("distinct") and len(set(entries)) < len(entries):
        raise ValueError
    return entries


def _convert_one(kind, value, limits):
    if not isinstance(value, KINDS[kind][1]) or (isinstance(value, bool) and kind is not bool):
        raise ValueError
    value = kind(value)
    if kind is float and not math.isfinite(value):
        raise ValueError
    if kind is str and len(value) < limits.get("length", 0):
        raise ValueError
    inside = (
        value in limits.get("one_of", (value,))
        and not ("above" in limits and value <= limits["above"])
        and not ("at_least" in limits and value < limits["at_least"])
        and not ("at_most" in limits and value > limits["at_most"])
    )
    if not inside:
        raise ValueError
    return value


def _hint(kind, value):
    """Explain the commonest slip: a number that arrives as a text."""
    entry = get_args(kind)[0] if get_origin(kind) is tuple else kind
    entries = value if isinstance(value, (list, tuple)) else [value]
    if entry is str or not any(isinstance(each, str) for each in entries):
        return ""
    yaml = "; YAML needs 1.0e-3 for 1e-3" if entry is float else ""
    return f" (a text was given: leave out the quotes{yaml})"


def _short(value):
    """Show any value in one line of bearable length."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."
