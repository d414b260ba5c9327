"""The extension list, and the one step that setuptools does not know: compiling the tiles once for each ISA tier."""

import os
import platform
import re
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

KERNELS = Path("src/fastnn/_kernels")
CSRC = KERNELS / "csrc"
MODULES = (
    "_table",
    "_memory",
    "_matmul_amx",
    "_matmul_dot",
    "_matmul",
    "_pool_lanes",
    "_conv_lanes",
    "_conv_cost",
    "_conv_ways",
    "_conv_planes",
    "_conv_winograd",
    "_conv_winograd_input",
    "_conv_winograd_side",
    "_conv_winograd_weight",
    "_conv_batch",
    "_conv_batch_weight",
    "_conv_input",
    "_conv_weight",
    "_conv_one_pass",
    "_conv_forward",
    "_conv_backward",
    "_im2col",
    "_pool",
    "_pool_backward",
    "_adaptive",
    "_interpolate",
    "_resample",
    "_embedding",
    "_pick",
    "_activation",
    "_norm",
    "_norm_pool",
    "_rownorm",
    "_localnorm",
    "_drop",
    "_loss",
    "_optim",
    "_plan_steps",
    "_plan_stages",
    "_plan_buffers",
    "_plan_watch",
    "_plan_run",
    "_plan",
    "_plan_train_steps",
    "_plan_train_places",
    "_plan_train_groups",
    "_plan_train_whole",
    "_plan_train_learnt",
    "_plan_train",
)
C_FLAGS = ["-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden"]
MODULE_FLAGS = ["-O2", *C_FLAGS]  # loops over elements are in the tiles: -O3 makes the modules larger, not faster
TILE_FLAGS = ["-O3", "-std=c11", "-ffp-contract=fast", *C_FLAGS]

# Symbols triple the size; profilers and sanitizers want them: build with FASTNN_SYMBOLS=1.
LINK_FLAGS = ["-pthread"]
if platform.system() == "Linux" and not os.environ.get("FASTNN_SYMBOLS"):
    LINK_FLAGS.append("-Wl,-s")

if sys.platform == "darwin":  # an interpreter may be for two architectures at once, which have no tiers in common
    os.environ.setdefault("ARCHFLAGS", f"-arch {platform.machine()}")
    MACHINE = os.environ["ARCHFLAGS"].split()[-1]
else:
    MACHINE = sysconfig.get_platform().partition("-")[2]  # what is built for, which need not be this machine
X86_64 = MACHINE in ("x86_64", "amd64")

# Windows: Microsoft's compiler has no vector types, and GCC's stack there is not aligned for wide ones. Clang does it
# all; it comes with the package ziglang, which brings the system's libraries too. CC may name another one.
if sys.platform == "win32" and "CC" not in os.environ:
    from ziglang import __file__ as ziglang

    zig = Path(ziglang).with_name("zig.exe").as_posix()
    os.environ["CC"] = f'"{zig}" cc -target {"x86_64" if X86_64 else "aarch64"}-windows-gnu'
LEVEL = "x86_64_v" if re.search(r"zig\S* cc\b", os.environ.get("CC", "")) else "x86-64-v"  # as the compiler spells it

# Each tier's object: source and flags. The tier amx has v4's table, with products that are in an object of its own.
TIERS = {"baseline": ("tiles.c", [])}
if X86_64:
    V4 = [f"-march={LEVEL}4", "-mprefer-vector-width=512"]
    TIERS |= {"v3": ("tiles.c", [f"-march={LEVEL}3"]), "v4": ("tiles.c", V4)}
    if sys.platform == "linux":
        TIERS["amx"] = ("amx.c", [*V4, "-mavx512bf16", "-mamx-tile", "-mamx-bf16"])

# FASTNN_EMULATE_TILES=1, for tools/sanitize: AMX's instructions in C, and the tier amx on every CPU with AVX-512.
EMULATED = bool(os.environ.get("FASTNN_EMULATE_TILES"))
if EMULATED and "amx" in TIERS:
    TIERS["amx"] = ("amx.c", [*V4, "-DFNN_EMULATE_TILES"])

# FASTNN_ABI3=1 makes extensions for this and all later versions of CPython, but not for those without a GIL. Calls cost
# somewhat more: see docs/dev/measurements.md.
ABI3 = {}
if os.environ.get("FASTNN_ABI3"):
    ABI3 = {"py_limited_api": True, "define_macros": [("Py_LIMITED_API", "0x030B0000")]}


class BuildExt(build_ext):
    """Compile an object for each tier and link them into ``_table``; the rest is plain."""

    def finalize_options(self):
        super().finalize_options()
        if sys.platform == "win32":
            self.compiler = "mingw32"  # what compilers with GCC's options are called there
        self.parallel = self.parallel or os.cpu_count()

    def get_libraries(self, ext):
        libraries = super().get_libraries(ext)  # on Windows the library of this very Python
        return ["python3"] if libraries and ext.py_limited_api else libraries

    def build_extension(self, ext):
        if ext.name.endswith("._table"):
            with ThreadPoolExecutor() as pool:
                ext.extra_objects += pool.map(self.tier_object, TIERS)
        super().build_extension(ext)

    def tier_object(self, tier):
        name, tier_flags = TIERS[tier]
        source, to = str(CSRC / name), os.path.join(self.build_temp, tier)
        (made,) = self.compiler.object_filenames([source], output_dir=to)
        if self.force or newer_group([source, __file__, *map(str, CSRC.glob("*.h"))], made):
            flags = [*TILE_FLAGS, *tier_flags]
            self.compiler.compile([source], output_dir=to, macros=[("FNN_TIER", tier)], extra_postargs=flags)
        return made


def extension(name):
    sources = [KERNELS / f"{name}.pyx"]
    if name == "_table":
        sources += [CSRC / "cpu.c", CSRC / "threads.c", CSRC / "memory.c"]
    return Extension(
        f"fastnn._kernels.{name}",
        [str(s) for s in sources],
        include_dirs=[str(CSRC)],
        extra_compile_args=MODULE_FLAGS + ["-DFNN_EMULATE_TILES"] * EMULATED,
        extra_link_args=LINK_FLAGS,
        **ABI3,
        depends=[str(p) for p in CSRC.iterdir()],
    )


# What Cython needs for memoryviews, once instead of in every module.
UTILITIES = "fastnn._kernels._cyutility"

# For tools/sanitize: indices into buffers are checked.
CHECKED = bool(os.environ.get("FASTNN_BOUNDS"))

setup(
    ext_modules=cythonize(
        [
            Extension(
                UTILITIES,
                ["build/cython/_cyutility.c"],
                extra_compile_args=MODULE_FLAGS,
                extra_link_args=LINK_FLAGS,
                **ABI3,
            ),
            *(extension(name) for name in MODULES),
        ],
        include_path=["src"],
        shared_utility_qualified_name=UTILITIES,
        build_dir="build/cython",
        compiler_directives={
            "language_level": "3",
            "boundscheck": CHECKED,
            "wraparound": False,
            "initializedcheck": CHECKED,
            "cdivision": True,
            "freethreading_compatible": True,
            "embedsignature": True,
        },
    ),
    cmdclass={"build_ext": BuildExt},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {},
)
