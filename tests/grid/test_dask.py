"""The grid on Dask clusters: real schedulers and workers on this machine's loopback."""

import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial

import dask
import pytest
from distributed import Client, LocalCluster

from helpers.files import PROJECT
from helpers.grid import search, workers
from tests.grid.grids import content, in_this_process, recipes

ONE_THREAD = "--nthreads", "1", "--no-nanny"
LOCAL = {"host": "127.0.0.1", "dashboard_address": None, "silence_logs": logging.CRITICAL}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The small grid, trained without Dask."""
    return content(search.search(recipes(), tmp_path_factory.mktemp("runs"), in_this_process))


@pytest.fixture
def scheduler():
    """A scheduler without workers."""
    with LocalCluster(n_workers=0, **LOCAL) as cluster:
        yield cluster.scheduler_address


@contextmanager
def program(name, *options, folder=PROJECT, **environment):
    """Run a program of Dask's command line in a process of its own; it is killed at the end."""
    command = [sys.executable, "-m", f"distributed.cli.{name}", *options, "--no-dashboard"]
    environment = os.environ | {"PYTHONPATH": str(folder)} | environment
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL) as made:
        try:
            yield made
        finally:
            with suppress(OSError):
                made.terminate()
            try:
                made.wait(5)
            except subprocess.TimeoutExpired:
                made.kill()


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def num_workers(scheduler):
    with Client(scheduler, set_as_default=False) as client:
        return len(client.scheduler_info()["workers"])


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(search, "REPORT_EVERY", 0.2)


def worker(scheduler, *options, **more):
    return program("dask_worker", scheduler, *options, **more)


def train(scheduler, folder, resume=False, on_progress=lambda line: None):
    where = workers.executor_for("dask", 4, scheduler)
    return content(search.search(recipes(), folder, where, 0, resume, on_progress))


@pytest.mark.parametrize("threads", [["1", "--no-nanny"], ["4", "--no-nanny"], ["4"]])
def test_a_search_waits_for_a_worker_and_any_threads_give_the_same(
    scheduler, expected, tmp_path, threads
):
    with ExitStack() as started:
        seen = []

        def start_when_waited_for(line):
            if "waiting for a worker" in line and not any("waiting" in each for each in seen):
                workers.check_cluster(scheduler)  # no worker is no reason to refuse a cluster
                started.enter_context(worker(scheduler, "--nthreads", *threads))
            seen.append(line)

        assert train(scheduler, tmp_path, on_progress=start_when_waited_for) == expected
    assert seen[1].endswith(f"; waiting for a worker of {scheduler}, which has none")


def test_workers_and_client_are_killed_and_no_run_is_lost(scheduler, expected, tmp_path):
    client = "from tests.grid.test_dask import train; import pathlib, sys\n"
    client += "train(sys.argv[1], pathlib.Path(sys.argv[2]))"
    command = [sys.executable, "-c", client, scheduler, str(tmp_path)]
    with ExitStack() as started:
        team = [started.enter_context(worker(scheduler, *ONE_THREAD)) for _ in range(3)]
        with subprocess.Popen(command, cwd=PROJECT) as search_elsewhere:
            wait_for(lambda: list(tmp_path.glob("*.npz")))
            search_elsewhere.kill()
        saved = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}

        def kill_a_worker(line):
            if " 0:01 elapsed" in line or len(list(tmp_path.glob("*.npz"))) > len(saved):
                team[0].kill()

        assert train(scheduler, tmp_path, resume=True, on_progress=kill_a_worker) == expected
        assert team[0].poll() is not None


def test_workers_that_do_not_fit_are_left_out_and_named(scheduler, expected, tmp_path, monkeypatch):
    (tmp_path / "helpers").mkdir()
    missing = "raise ModuleNotFoundError(\"No module named 'helpers'\")"
    (tmp_path / "helpers" / "__init__.py").write_text(missing)
    monkeypatch.setattr(workers, "PATIENCE", 1.0)
    seen = []
    with ExitStack() as started:
        for options in ({"folder": tmp_path}, {"OPENBLAS_CORETYPE": "Prescott"}):
            started.enter_context(worker(scheduler, *ONE_THREAD, **options))
        wait_for(lambda: num_workers(scheduler) == 2)
        for refused in (
            partial(workers.check_cluster, scheduler),
            partial(train, scheduler, tmp_path / "runs", on_progress=seen.append),
        ):
            with pytest.raises(workers.WorkerError) as error:
                refused()
            said = str(error.value)
            assert said.startswith(f"none of the 2 workers of {scheduler} can train: tcp://")
            assert "(and 1 more)" in said and "\n" not in said
            assert "No module named 'helpers'" in said or "BLAS kernels Katmai instead" in said
        assert said.endswith(
            "; 0 of 16 runs are saved; resume = True, or --resume, goes on from there"
        )
        assert "elapsed; none of the 2 workers" in seen[-1]

        started.enter_context(worker(scheduler, *ONE_THREAD))
        wait_for(lambda: num_workers(scheduler) == 3)
        workers.check_cluster(scheduler)
        assert train(scheduler, tmp_path / "runs", on_progress=seen.append) == expected
    assert any("; left out: tcp://" in line for line in seen)


def test_a_lost_scheduler_ends_the_search_in_one_line(tmp_path, expected, monkeypatch):
    monkeypatch.setattr(workers, "CONNECT_SECONDS", 2)
    place = tmp_path / "scheduler.json"

    def kill_the_scheduler(line):
        if list(folder.glob("*.npz")):
            scheduler.kill()

    folder = tmp_path / "runs"
    with ExitStack() as started:
        options = "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(place)
        scheduler = started.enter_context(program("dask_scheduler", *options))
        wait_for(place.exists)
        started.enter_context(worker("--scheduler-file", str(place), *ONE_THREAD))
        with pytest.raises(workers.WorkerError) as error:
            train(str(place), folder, on_progress=kill_the_scheduler)
    said = str(error.value)
    assert said.startswith(f"scheduler = {str(place)!r}: the connection is lost; ")
    assert re.search(r"; [1-9]\d* of 16 runs are saved; resume = True, or --resume, goes on", said)
    rest = search.search(recipes(), folder, in_this_process, resume=True)
    assert content(rest) == expected


def test_a_lost_scheduler_ends_the_command_with_status_1_and_keeps_its_runs(tmp_path):
    place, output = tmp_path / "scheduler.json", tmp_path / "outputs"
    settings = {"num_units": [8, 12], "num_epochs": [1, 2], "batch_size": [64], "repeat_top": 1}
    words = [word for name, value in settings.items() for word in ("-p", name, json.dumps(value))]
    command = [sys.executable, "-m", "helpers", "c", "--quick", *words, "--output", str(output)]
    with ExitStack() as started:
        options = "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(place)
        scheduler = started.enter_context(program("dask_scheduler", *options))
        wait_for(place.exists)
        started.enter_context(worker("--scheduler-file", str(place), *ONE_THREAD))
        command += ["--scheduler", str(place)]
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        searching = subprocess.Popen(command, cwd=PROJECT, **pipe)
        wait_for(lambda: list(output.rglob("*.npz")), 120)  # a kernel starts, too
        scheduler.kill()
        said, _ = searching.communicate(timeout=120)
    assert searching.returncode == 1
    [line] = [line for line in said.splitlines() if "the connection is lost" in line]
    assert "--resume, goes on" in line and "Traceback" not in said
    assert list(output.rglob("*.npz"))


def test_a_cluster_that_grows_with_its_work_starts_from_nothing(expected, tmp_path):
    with LocalCluster(n_workers=0, threads_per_worker=1, **LOCAL) as cluster:
        cluster.adapt(minimum=0, maximum=2)
        workers.check_cluster(cluster.scheduler_address)
        assert train(cluster.scheduler_address, tmp_path) == expected


def test_workers_in_threads_of_one_process_give_the_same(expected, tmp_path):
    options = LOCAL | {"host": None}
    with LocalCluster(n_workers=2, threads_per_worker=2, processes=False, **options) as cluster:
        assert train(cluster.scheduler_address, tmp_path) == expected


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
def test_a_cluster_with_certificates(expected, tmp_path):
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=localhost", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    options = "--tls-ca-file", certificate, "--tls-cert", certificate, "--tls-key", key
    place = tmp_path / "scheduler.json"
    ours = {"distributed.comm.tls.ca-file": certificate}
    ours |= {"distributed.comm.tls.client.cert": certificate}
    ours |= {"distributed.comm.tls.client.key": key}
    with ExitStack() as started:
        where = "--protocol", "tls", "--port", "0", "--scheduler-file", str(place)
        started.enter_context(program("dask_scheduler", "--host", "127.0.0.1", *where, *options))
        wait_for(place.exists)
        started.enter_context(worker("--scheduler-file", str(place), *ONE_THREAD, *options))
        started.enter_context(dask.config.set(ours))
        address = json.loads(place.read_text())["address"]
        assert address.startswith("tls://")
        assert train(address, tmp_path / "runs") == expected


@contextmanager
def listening(answer):
    """Listen on a free port of the loopback, and answer whoever calls."""

    def reply():
        with suppress(OSError):
            client, _ = server.accept()
            client.recv(1000)
            client.sendall(answer)
            client.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=reply, daemon=True).start()
        yield server.getsockname()[1]


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.0 400 Bad Request\r\n\r\n" * 40])
def test_what_is_no_scheduler_is_named_in_one_line(answer, monkeypatch):
    monkeypatch.setattr(workers, "CONNECT_SECONDS", 1)
    with nullcontext(9) if answer is None else listening(answer) as port:
        address = f"tcp://127.0.0.1:{port}"
        with pytest.raises(workers.WorkerError) as error:
            workers.check_cluster(address)
    said = str(error.value)
    assert said.startswith(f"scheduler = '{address}': no Dask scheduler can be reached there (")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), ("", "Expecting value"), ("{}", "'address'")],
)
def test_a_file_that_names_no_scheduler_is_named_in_one_line(tmp_path, content, reason):
    place = tmp_path / "scheduler.json"
    if content is not None:
        place.write_text(content)
    with pytest.raises(workers.WorkerError, match=reason) as error:
        workers.check_cluster(str(place))
    assert str(error.value).startswith(f"scheduler = {str(place)!r}: no Dask scheduler")


def test_a_missing_dask_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(workers.WorkerError, match="pip install"):
        workers.check_cluster("tcp://127.0.0.1:9")
