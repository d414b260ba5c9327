"""The import arrows of the design: they only point down, and the outside is NumPy alone."""

import ast
import graphlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

import fastnn as fnn
from fastnn import recipes

PACKAGE = Path(fnn.__file__).parent

# From the top down; a module may import what stands below it, and its own floor.
FLOORS = (
    {"cli", "__main__"},
    {"_bench"},
    {"recipes"},
    {"training", "data", "plots", "vision", "interop", "_extras", "_files", "_destination", "_lock"},
    {"networks"},
    {"layers", "losses", "optim", "init", "gradients"},
    {"plan"},
    {"functional"},
    {"reference"},
    {"_runtime"},
    {"_kernels"},
    {"_validate", "_version", "_console", "_json"},
)
HEIGHT = {name: -i for i, floor in enumerate(FLOORS) for name in floor}

# Floors that would be too generous: who may not import whom, though it stands below.
FORBIDDEN = {
    "reference": {"functional", "_kernels", "_runtime"},
    "layers": {"_kernels", "reference"},
    "losses": {"_kernels", "reference"},
    "optim": {"_kernels", "reference"},
    "training": {"_kernels", "reference"},
    "recipes": {"_kernels", "reference"},
    "cli": {"_kernels"},
    "_validate": set(HEIGHT),
    "_kernels": set(HEIGHT),
}

# What fastnn may import from outside, and only inside functions (NumPy excepted).
EXTRAS = {
    "matplotlib",
    "PIL",
    "skimage",
    "scipy",
    "sklearn",
    "tqdm",
    "pooch",
    "safetensors",
    "joblib",
    "mpi4py",
    "threadpoolctl",
    "torch",
    "onnx",
    "onnxruntime",
    "openvino",
}

FILES = sorted(PACKAGE.rglob("*.py"))


def part(file: Path) -> str:
    """The name of the part of the house that a file belongs to: its first name below fastnn."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path, tree: ast.AST):
    """(absolute module name, line, is it imported with the module) of every import in a file."""
    package = ("fastnn", *file.relative_to(PACKAGE).parts[:-1])
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    typing_only = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and "TYPE_CHECKING" in ast.unparse(test.test)
        for node in ast.walk(test)
    }
    for node in ast.walk(tree):
        at_import = id(node) not in inside and id(node) not in typing_only
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, at_import
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            for alias in node.names:
                yield (f"{module}.{alias.name}" if module == "fastnn" else module), node.lineno, at_import


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_arrows_point_down(file):
    me = part(file)
    if me == "__init__":
        return  # the list of public names sees all
    assert me in HEIGHT, f"{me} has no place in the house: add it to FLOORS"
    for module, line, _ in imports(file, ast.parse(file.read_text())):
        if not module.startswith("fastnn."):
            continue
        other = module.split(".")[1]
        if other == me or other not in HEIGHT:
            continue  # its own part, or a public name of fastnn itself
        where = f"{file.relative_to(PACKAGE)}:{line}"
        assert HEIGHT[other] <= HEIGHT[me], f"{where}: {me} imports {other}, which stands above it"
        assert other not in FORBIDDEN.get(me, ()), f"{where}: {me} must not know {other}"


def test_the_frame_of_the_recipes_knows_no_system():
    """Only `fastnn.recipes.load` names one: so a system is one file, which can be added and taken away."""
    systems = {name.replace("-", "_") for name in recipes.NAMES}
    assert {file.stem for file in (PACKAGE / "recipes").glob("*.py")} == systems | {"__init__"}
    for file in (PACKAGE / "recipes" / "_frame").glob("*.py"):
        nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
        named = {
            f"{node.module}.{alias.name}".split(".")[2]
            for node in nodes
            for alias in node.names
            if f"{node.module}.".startswith("fastnn.recipes.")
        }
        assert not named & systems, f"{file.name}: the frame imports {named & systems}"


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_only_the_top_imports_the_package_itself(file):
    """`import fastnn` inside fastnn would close a circle; the command line and what it runs may do it."""
    if part(file) in {"__init__", "cli", "__main__", "_bench", "recipes"}:
        return
    circle = [
        line
        for module, line, at_import in imports(file, ast.parse(file.read_text()))
        if module == "fastnn" and at_import
    ]
    assert not circle, f"{file.relative_to(PACKAGE)}:{circle}: imports fastnn as a whole"


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_outside_is_numpy(file):
    import sys

    for module, line, at_import in imports(file, ast.parse(file.read_text())):
        top = module.split(".")[0]
        if top in {"fastnn", "numpy", "__future__"} or top in sys.stdlib_module_names:
            continue
        where = f"{file.relative_to(PACKAGE)}:{line}"
        assert top in EXTRAS, f"{where}: {top} is not among the extras"
        assert not at_import, f"{where}: {top} is imported with the module; import it inside the function"


def test_kernels_import_no_python_of_fastnn():
    for file in sorted((PACKAGE / "_kernels").glob("*.pyx")):
        for line in file.read_text().splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]) and "fastnn" in words[1]:
                assert words[1].startswith("fastnn._kernels"), f"{file.name}: {line}"


def test_no_two_kernels_cimport_each_other():
    """Nor in a circle of more: what a module and its .pxd file cimport can be drawn from the top down."""
    cimports = {}
    for file in (PACKAGE / "_kernels").glob("*.p[yx][xd]"):
        names = re.findall(r"^from fastnn\._kernels\.(\w+) cimport", file.read_text(), re.MULTILINE)
        cimports.setdefault(file.stem, set()).update(set(names) - {file.stem})
    assert cimports["_conv_forward"] >= {"_conv_planes", "_conv_ways"}
    graphlib.TopologicalSorter(cimports).prepare()  # CycleError names the circle


@pytest.fixture(scope="module")
def loaded(run_python):
    """The modules that `import fastnn` adds to those of `import numpy`."""
    source = (
        "import json, sys, numpy\nbefore = set(sys.modules)\nimport fastnn\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    process = run_python("-c", source)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_import_loads_numpy_and_nothing_else_from_outside(loaded):
    import sys

    outside = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"fastnn", "numpy"}
    # Cython's extensions share a module of their own making.
    assert {name for name in outside if not name.startswith(("_cython_", "_cyutility", "cython_runtime"))} == set()


def test_import_is_light(loaded):
    """Not timed: instead, none of the slow parts of the standard library or of fastnn is loaded, and few others."""
    slow = {
        "argparse", "asyncio", "concurrent.futures", "email", "gzip", "http", "importlib.metadata", "logging",
        "multiprocessing", "subprocess", "tempfile", "unittest", "urllib.request", "xml", "zipfile",
    }  # fmt: skip
    upper = {f"fastnn.{name}" for name in ("cli", "_bench", "recipes", "training", "data", "plots", "interop")}
    assert not (slow | upper) & set(loaded)
    by_older_numpy = 10 * (np.lib.NumpyVersion(np.__version__) < "2.1.0")  # left to fastnn, of the standard library
    others = [name for name in loaded if name.split(".")[0] != "fastnn"]
    assert len(others) <= 20 + by_older_numpy, f"{len(others)} modules of others: {others}"
    assert len(loaded) < 170 + by_older_numpy, f"{len(loaded)} modules: {loaded}"


def test_public_names():
    layers = "Conv2d MaxPool2d AvgPool2d Linear ReLU Sigmoid Tanh Softmax LogSoftmax Flatten"
    others = "Sequential Module Parameter CrossEntropyLoss SGD functional reference init manual_seed implementation"
    training = "Adam AdamW NAdam RMSprop Adagrad clip_grad_norm_ clip_grad_value_ lr_scheduler"
    control = "set_num_threads get_num_threads num_threads isa show_config __version__"
    expected = f"{layers} {others} {training} {control}".split()
    assert set(expected) <= set(fnn.__all__)
    assert all(hasattr(fnn, name) for name in fnn.__all__)


def test_functions_carry_documentation():
    for name in fnn.functional.__all__:
        for module in (fnn.functional, fnn.reference):
            doc = getattr(module, name).__doc__ or ""
            assert "Parameters" in doc, f"{module.__name__}.{name} does not describe its parameters"


def test_an_operation_is_in_one_family_everywhere():
    def families(folder):
        return {file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")}

    of_reference = families(PACKAGE / "reference")
    assert families(PACKAGE / "functional") == families(Path(__file__).parent / "cases") == of_reference
    assert families(PACKAGE / "_validate") >= of_reference  # and some that are no operations
    for name in fnn.functional.__all__:
        theirs, ours = (getattr(module, name).__module__ for module in (fnn.reference, fnn.functional))
        assert ours.removeprefix("fastnn.functional.") == theirs.removeprefix("fastnn.reference."), name


@pytest.mark.parametrize("package", [fnn.functional, fnn.reference], ids=lambda p: p.__name__)
def test_a_package_has_the_names_of_its_families(package):
    import importlib

    folder = Path(package.__file__).parent
    families = [file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")]
    modules = [importlib.import_module(f"{package.__name__}.{family}") for family in families]
    assert sorted(name for module in modules for name in module.__all__) == package.__all__
    for module in modules:
        assert all(getattr(package, name) is getattr(module, name) for name in module.__all__)


def test_functional_and_reference_have_one_signature():
    import inspect

    for name in fnn.functional.__all__:
        theirs = inspect.signature(getattr(fnn.reference, name)).parameters.values()
        ours = inspect.signature(getattr(fnn.functional, name)).parameters.values()
        assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in theirs], name
