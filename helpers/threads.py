"""One BLAS thread for this process, from the first training on.

With one thread a network comes out the same, bit for bit, whatever else runs; and the products
here are so small that more threads would spend their time waiting for each other.
"""

from threadpoolctl import threadpool_limits


def one_blas_thread():
    """Hold BLAS to one thread from now on.

    Never taken back: the limit belongs to the whole process, and networks may train in several
    threads of it (a Dask worker, say). Whoever trains calls it again, for a library that was loaded
    since, and for a BLAS built on OpenMP, whose limit is each thread's own.
    """
    threadpool_limits(1, user_api="blas")
