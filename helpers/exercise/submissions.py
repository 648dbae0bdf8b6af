"""What students handed in: folders and zip files, read without unpacking anything.

Only files that may be a student's are read, by name, into memory: the files with exercises in them
and Python files that the hand-out does not have. So a path that leads out of an archive leads
nowhere, and a file that unpacks to gigabytes is cut off. A submission may hold the folder `helpers`
itself, the whole hand-out, either of them some folders deeper, or a single zip file.
"""

import hashlib
import re
import zipfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

from helpers.exercise import runner
from helpers.files import PROJECT
from helpers.notebook.checks.exercises import EXERCISES

LARGEST_FILE = 2**20
"""Bytes of a file of Python that is read; more is refused."""
MOST_FILES = 100
"""That a student may add."""
DEEPEST = 6
"""Folders above a file that is looked at."""
MOODLE = re.compile(r"_\d+_assignsubmission_\w*$")
"""What Moodle adds to a student's name."""
IGNORED = "index.html", "desktop.ini", "Thumbs.db"
"""Files beside the submissions that are nobody's."""
EXERCISE_FILES = {each.file.removeprefix("helpers/") for each in EXERCISES}


class SubmissionError(Exception):
    """Says in a line why a submission cannot be read."""


@dataclass
class Submission:
    """A student's files.

    Attributes
    ----------
    name : str
        For the table; unique within a class.
    path : pathlib.Path
        Folder or zip file.
    files : dict
        Name below `helpers` -> bytes.
    problem : str
        Why nothing could be read; empty if something was.
    """

    name: str
    path: Path
    files: dict = field(default_factory=dict)
    problem: str = ""

    def read(self):
        """Read the files, or note the problem; whatever is in there, this returns."""
        try:
            self.files = read_files(self.path)
        except SubmissionError as error:
            self.problem = str(error)
        except Exception as error:
            self.problem = f"cannot be read ({type(error).__name__}: {error})"

    @property
    def fingerprint(self):
        """str : hash of the files, the same for the same work under another name."""
        content = repr((self.problem, sorted(self.files.items())))
        return hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:16]


def find_submissions(folder):
    """List the submissions in the folder of a class, by name; none of them is read yet."""
    paths = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    paths = [path for path in paths if path.name not in IGNORED]
    if not paths:
        raise FileNotFoundError(f"{folder}: expected a folder or zip file for each student")
    times = Counter(name_of(path).casefold() for path in paths)
    found = []
    for path in paths:
        name = name_of(path)
        is_taken = times[name.casefold()] > 1
        found.append(Submission(path.name if is_taken else name, path))
    return found


def name_of(path):
    """Read a student's name off a file or folder."""
    stem = path.stem if path.suffix.lower() == ".zip" and not path.is_dir() else path.name
    readable = stem.encode("utf-8", "replace").decode()
    return MOODLE.sub("", readable) or readable


def read_files(path):
    """Read a student's files from a folder or a zip file: {name below helpers: bytes}."""
    if path.is_dir():
        entries = list_folder(path)
    elif path.is_file() and zipfile.is_zipfile(path):
        entries = list_zip(path)
    else:
        raise SubmissionError("expected a folder or a zip file")
    archives = [name for name in entries if name.suffix.lower() == ".zip"]
    if path.is_dir() and find_root(entries) is None and len(archives) == 1:
        entries = list_zip(path / archives[0])
    root = find_root(entries)
    if root is None:
        wanted = ", ".join(sorted(EXERCISE_FILES))
        raise SubmissionError(f"is empty, or holds none of the files {wanted}")
    return take_python_files(entries, root)


def take_python_files(entries, root):
    """Read the files of a student below a folder: of exercises, and what the hand-out has not.

    A file that is too large, or cannot be read, is as one that is missing: it costs its own
    exercises.
    """
    found = {}
    for name, read in entries.items():
        if not is_looked_at(name) or not name.is_relative_to(root):
            continue
        below = name.relative_to(root).as_posix()
        is_new = name.suffix == ".py" and not (PROJECT / "helpers" / below).exists()
        if below in EXERCISE_FILES or (is_new and len(found) < MOST_FILES):
            with suppress(Exception):  # a damaged archive fails in a dozen ways
                text = read()
                if len(text) <= LARGEST_FILE:
                    found[below] = text
    return found


def find_root(entries):
    """Find the folder that stands for `helpers`: of this name if there is one, the highest one."""
    places = []
    for name in filter(is_looked_at, entries):
        for file in map(PurePosixPath, EXERCISE_FILES):
            if name.parts[-len(file.parts) :] == file.parts:
                places.append(PurePosixPath(*name.parts[: -len(file.parts)]))
    places.sort(key=lambda place: (place.name != "helpers", len(place.parts), str(place)))
    return places[0] if places else None


def list_folder(folder):
    """List the files below a folder, without following links: {path in it: function that reads}."""
    return {
        PurePosixPath(path.relative_to(folder)): partial(runner.read_file, path)
        for path in folder.rglob("*")
        if path.is_file()
    }


def list_zip(path):
    """List the files of an archive: {path in it: function that reads}."""
    archive = zipfile.ZipFile(path)
    return {
        PurePosixPath(info.filename.replace("\\", "/")): partial(read_member, archive, info)
        for info in archive.infolist()
        if not info.is_dir()
    }


def read_member(archive, info):
    """Read a file of an archive, cut off where it is too large."""
    with archive.open(info) as file:
        return file.read(LARGEST_FILE + 1)


def is_looked_at(name):
    """Tell whether a path may be a student's: nothing hidden, no way out, not too deep."""
    parts = name.parts
    is_odd = any(part.startswith((".", "__MACOSX", "__pycache__")) for part in parts)
    return not is_odd and not name.is_absolute() and len(parts) <= DEEPEST
