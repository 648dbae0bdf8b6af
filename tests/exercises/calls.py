"""What the grader calls, and a process that calls it: `python calls.py MODULE FUNCTION`.

The process runs a student's function and writes what comes back; it knows no right answer. The
grader makes the same calls of our solution in its own process, and compares there.
"""

import dataclasses
import importlib
import json
import os
import sys

import numpy as np

SIZES = 5, 4, 4, 3
"""Two square layers in a row would hide no transposed matrix."""
MEMORY, FILE, LARGEST = 2**32, 2**24, 2**18
"""Bytes that a student's function may take in memory, and in a file; entries of an array."""
STARTS = "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "socket.connect"
CHANGES = "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.chmod", "os.kill"


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
    yield "", unpack, {"weights": weights, "layer_sizes": SIZES}
    yield " of a stack", unpack, {"weights": np.stack([weights, -weights]), "layer_sizes": SIZES}

    def write_to_views(weights, layer_sizes):
        for W, b in unpack(weights, layer_sizes):
            W[...], b[...] = 1, 2

    yield ", writing to the views", write_to_views, {"weights": weights, "layer_sizes": SIZES}


def calls_of_forward(forward):
    for note, stack in ("", ()), (" of a stack", (2,)):
        problem = example(stack)
        yield note, forward, {"layers": problem["layers"], "images": problem["images"]}


def calls_of_softmax(softmax):
    logits = np.random.default_rng(15).normal(size=(2, 3, 4))
    yield "", softmax, {"logits": logits[0]}
    yield " of large logits", softmax, {"logits": 1000 * logits[0]}
    yield " of a stack", softmax, {"logits": logits}


def calls_of_log_loss(log_loss):
    logits, labels = np.random.default_rng(15).normal(size=(2, 3, 4)), np.array([2, 0, 1, 1])
    yield "", log_loss, {"logits": logits[0], "labels": labels}
    yield " of large logits", log_loss, {"logits": 1000 * logits[0], "labels": labels}
    yield " of a stack", log_loss, {"logits": logits, "labels": labels}

    def slope(logits, labels):
        return log_loss(logits + 1e-20j * logits, labels).imag

    yield " of complex logits", slope, {"logits": logits[0], "labels": labels}


def calls_of_backprop(backprop):
    yield "", backprop, example()
    yield " with L2", backprop, example() | {"alpha": 0.1}


def calls_of_minibatches(minibatches):
    arguments = {"num_images": 100, "batch_size": 32, "seed": 7}

    def order(*arguments):
        return np.concatenate(minibatches(*arguments))

    def is_new(*arguments):
        return bool((order(*arguments) != np.arange(100)).any())

    def is_same(*arguments):
        return bool((order(*arguments) == order(*arguments)).all())

    def depends_on_seed(*arguments):
        return bool((order(*arguments) != order(*arguments[:2], 8)).any())

    yield ", sizes", lambda *a: [len(batch) for batch in minibatches(*a)], arguments
    yield ", all images sorted", lambda *a: np.sort(order(*a)), arguments
    yield ", shuffled", is_new, arguments
    yield ", the same again", is_same, arguments
    yield ", another order with another seed", depends_on_seed, arguments


def calls_of_step(step):
    yield "", step, example() | {"rate": 0.1}
    yield " with L2", step, example() | {"rate": 0.1, "alpha": 0.1}


def calls_of_complex_step(complex_step):
    yield "", complex_step, example()
    yield " with L2", complex_step, example() | {"alpha": 0.1}


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
    if isinstance(value, (list, tuple)):
        found = {name: (f"a list of {len(value)}", [])}
        for index, entry in enumerate(value):
            found |= describe(f"{name}[{index}]", entry)
        return found
    if dataclasses.is_dataclass(value):
        return describe(name, tuple(vars(value).values()))
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

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE, FILE))
    folder, refused = os.path.join(os.getcwd(), ""), []

    def watch(event, arguments):
        if event in STARTS or event in CHANGES or (event == "open" and writes(*arguments)):
            refused.append(f"not allowed: {event} {str(arguments[0])[:80]}")
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
