"""What the grader calls, and a process that calls it: `python calls.py MODULE FUNCTION`.

The process runs a student's function and writes what comes back; it knows no right answer. The
grader makes the same calls of our solution in its own process, and compares there.
"""

import dataclasses
import importlib
import json
import os
import sys
from contextlib import suppress

import numpy as np

SIZES = 5, 4, 4, 3
"""One matrix is square: transposed, it still fits."""
MEMORY, FILE, LARGEST = 2**32, 2**24, 2**18
"""Bytes that a student's function may take in memory, and in a file; entries of an array."""
STARTS = "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "socket.connect"
CHANGES = "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.chmod", "os.kill"
LOGITS = np.random.default_rng(15).normal(size=(2, 3, 4))
LOGITS = {"": LOGITS[0], " of large logits": 1000 * LOGITS[0], " of a stack": LOGITS}


def example(stack=()):
    """Make a small problem; image 0 switches no unit of the first layer on or off: z is 0."""
    rng = np.random.default_rng(15)
    pairs = list(zip(SIZES[1:], SIZES[:-1], strict=True))
    layers = [(rng.normal(size=(*stack, *s)), rng.normal(size=(*stack, s[0]))) for s in pairs]
    layers[0][1][...] = 0
    images = rng.normal(size=(6, SIZES[0]))
    images[0] = 0
    return {"layers": layers, "images": images, "labels": np.array([0, 1, 2, 2, 1, 0])}


def calls_of_unpack(unpack):
    weights = np.arange(59.0)

    def write_to_views(*arguments):
        for W, b in unpack(*arguments):
            W[...], b[...] = 1, 2

    yield "", unpack, {"weights": weights, "layer_sizes": SIZES}
    yield " of a stack", unpack, {"weights": np.stack([weights, -weights]), "layer_sizes": SIZES}
    yield ", writing to the views", write_to_views, {"weights": weights, "layer_sizes": SIZES}


def calls_of_forward(forward):
    for note, problem in ("", example()), (" of a stack", example((2,))):
        yield note, forward, {"layers": problem["layers"], "images": problem["images"]}


def calls_of_softmax(softmax):
    for note, logits in LOGITS.items():
        yield note, softmax, {"logits": logits}


def calls_of_log_loss(log_loss):
    def slope(logits, labels):
        return log_loss(logits + 1e-20j * logits, labels).imag

    for note, logits in LOGITS.items():
        yield note, log_loss, {"logits": logits, "labels": np.array([2, 0, 1, 1])}
    yield " of complex logits", slope, {"logits": LOGITS[""], "labels": np.array([2, 0, 1, 1])}


def calls_of_backprop(backprop):
    yield "", backprop, example()
    yield " with L2", backprop, example() | {"alpha": 0.1}
    yield " of a stack", backprop, example((2,)) | {"alpha": 0.1}


def calls_of_minibatches(minibatches):
    def summary(num_images, batch_size, seed):
        drawn, again, other = (minibatches(num_images, batch_size, s) for s in (seed, seed, 8))
        order = np.concatenate(drawn)
        return {
            "sizes": [len(batch) for batch in drawn],
            "sorted": np.sort(order),
            "is shuffled": bool((order != np.arange(num_images)).any()),
            "comes again with the same seed": bool((order == np.concatenate(again)).all()),
            "changes with the seed": bool((order != np.concatenate(other)).any()),
        }

    yield "", summary, {"num_images": 100, "batch_size": 32, "seed": 7}


def calls_of_step(step):
    yield "", step, example() | {"rate": 0.1}
    yield " with L2", step, example() | {"rate": 0.1, "alpha": 0.1}


def calls_of_complex_step(complex_step):
    yield "", complex_step, example()
    yield " with L2", complex_step, example() | {"alpha": 0.1}


def calls_of_list_runs(list_runs):
    shapes = {"num_hidden_layers": (0, 2), "num_units": (30, 40)}
    training = {"learning_rate": (0.1, 0.2), "batch_size": (16, 32), "num_epochs": (1, 2)}
    yield "", list_runs, shapes | training | {"alpha": 0.1, "seed": 3, "num_seeds": 2}


def calls_of_tile_W0(tile_W0):
    for units in 4, 5, 7:
        yield f" of {units} units", tile_W0, {"W": np.arange(784.0 * units).reshape(units, 784)}


def answers(name, function):
    """Make all calls of one exercise: {what: (kind, entries)} of the results and arguments."""
    found = {}
    for note, call, arguments in globals()[f"calls_of_{name}"](function):
        label = f"{name}({', '.join(arguments)}){note}"
        try:
            with np.errstate(all="ignore"):
                found |= describe(label, call(*arguments.values()))
        except BaseException as error:  # SystemExit is no way out
            found[label] = describe_error(error)
        for key, value in arguments.items():
            found |= describe(f"{key} after {label}", value)
    return found


def describe(name, value):
    """Say a value in JSON: kind and entries of every array, number and list in it."""
    if dataclasses.is_dataclass(value):
        value = vars(value)
    if isinstance(value, (list, tuple, dict)):
        found = {name: (f"{len(value)} entries", [])}
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            found |= describe(f"{name}[{key}]" if isinstance(key, int) else f"{name} {key}", entry)
        return found
    if isinstance(value, (np.ndarray, np.generic, int, float)):
        array = np.asarray(value)
        is_number = array.dtype.kind in "biuf" and array.size < LARGEST
        kind = f"{array.dtype} of shape {array.shape}"
        return {name: (kind, array.tolist() if is_number else [])}
    return {name: (str(value)[:80], [])}


def describe_error(error):
    return f"{type(error).__name__}: {error}"[:200], []


def limit():
    """Limit memory and files; from here on, writing elsewhere or starting programs is refused."""
    import resource

    for what, most in (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, FILE):
        with suppress(ValueError):  # a system without this limit
            resource.setrlimit(what, (most, most))
    folder, refused = os.path.join(os.getcwd(), ""), []

    def watch(event, arguments):
        if event in STARTS or event in CHANGES or (event == "open" and writes(*arguments)):
            refused.append(f"not allowed: {event} {arguments[:1]}"[:100])
            raise PermissionError(refused[-1])

    def writes(path, mode, flags):
        inside = isinstance(path, int) or os.path.realpath(os.fsdecode(path)).startswith(folder)
        return flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not inside

    sys.addaudithook(watch)
    return refused


def main(module, name):
    refused = limit()
    try:
        found = answers(name, getattr(importlib.import_module(f"helpers.{module}"), name))
    except BaseException as error:
        found = {"failed": describe_error(error)}
    with open("answers.json", "w") as file:
        json.dump({"failed": (refused[0], [])} if refused else found, file)
    os._exit(0)  # whatever the student's code has left running


if __name__ == "__main__":
    main(*sys.argv[1:])
