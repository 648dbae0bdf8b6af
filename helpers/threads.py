"""One BLAS thread for as long as anything trains in this process.

With one thread a network comes out the same, bit for bit, whatever else runs; and the products
here are so small that more threads would spend their time waiting for each other.

BLAS's own limit belongs to the whole process, while networks may train in several threads of it (a
Dask worker, say). If each thread set the limit and took it back, the first one to leave would free
BLAS under the others. So a thread that does nothing else holds the limit, from the first network
that begins until the last one ends. (threadpoolctl, from 3.8 on, also lets nobody take a limit
back but the thread that set it.)
"""

import threading
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


class _Keeper(threading.Thread):
    """A thread that holds the limit until it is told to end."""

    def __init__(self):
        super().__init__(daemon=True)
        self._has_begun = threading.Event()
        self._may_end = threading.Event()
        self.start()
        self._has_begun.wait()

    def run(self):
        with threadpool_limits(1, user_api="blas"):
            self._has_begun.set()
            self._may_end.wait()

    def end(self):
        self._may_end.set()
        self.join()


_lock = threading.Lock()
_keepers = []
"""The keeper, if anything trains, once for each thread that is inside `one_blas_thread`."""
_this_thread = threading.local()


@contextmanager
def one_blas_thread():
    """Hold BLAS to one thread while the block runs; blocks may nest, and overlap in threads."""
    if getattr(_this_thread, "is_inside", False):
        yield
        return
    with _lock:
        _keepers.append(_keepers[0] if _keepers else _Keeper())
    _this_thread.is_inside = True
    try:
        # For a BLAS built on OpenMP, whose limit is each thread's own.
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        _this_thread.is_inside = False
        with _lock:
            keeper = _keepers.pop()
            if not _keepers:
                keeper.end()
