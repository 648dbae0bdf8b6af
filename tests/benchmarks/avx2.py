"""Hold JAX to AVX2, so that it can be compared with NumPy that is held to Haswell kernels.

XLA's own code obeys --xla_cpu_max_isa. Its products come from YNNPACK, which asks the processor
itself, once, and keeps the answer in a variable of `ynn::get_supported_arch_flags` (ynnpack/base/
arch.cc and arch.h of https://github.com/google/XNNPACK). No option reaches it, so it is overwritten
in memory. Linux on x86-64 only, and `nm` of the binutils is needed; if the variable is not found,
this raises rather than call a comparison fair that is none.
"""

import ctypes
import subprocess
from pathlib import Path

import jaxlib

FUNCTION = "_ZN3ynn24get_supported_arch_flagsEv"
VARIABLE = "_ZZN3ynn24get_supported_arch_flagsEvE5flags"
UP_TO_AVX2 = 0b111_1111
"""sse2, ssse3, sse41, avx, f16c, avx2, fma3: the lowest seven flags; above them are AVX-512's."""
XLA_FLAG = "--xla_cpu_max_isa=AVX2"


def hold_jax_to_avx2():
    """Take AVX-512 and AMX from the flags of YNNPACK; call it before JAX compiles anything."""
    library = Path(jaxlib.__file__).with_name("libjax_common.so")
    ctypes.CDLL(str(library))
    start = load_address(library)
    symbols = subprocess.run(["nm", library], capture_output=True, text=True, check=True).stdout
    offset = {line.split()[-1]: line.split()[0] for line in symbols.splitlines()}
    if FUNCTION not in offset or VARIABLE not in offset:
        raise RuntimeError(f"{library.name} of this jaxlib has no {VARIABLE}")
    ask = ctypes.CFUNCTYPE(ctypes.c_uint64)(start + int(offset[FUNCTION], 16))
    found = ask()  # the first call asks the processor
    ctypes.c_uint64.from_address(start + int(offset[VARIABLE], 16)).value = found & UP_TO_AVX2
    if ask() != found & UP_TO_AVX2:
        raise RuntimeError("YNNPACK's flags could not be changed")


def load_address(library):
    """Look up where in this process a library begins."""
    maps = Path("/proc/self/maps").read_text("utf-8")
    starts = [line.split("-")[0] for line in maps.splitlines() if line.endswith(library.name)]
    return int(starts[0], 16)
