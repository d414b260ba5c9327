"""The import arrows of the design: they only point down, they close no circle, and the outside is NumPy alone."""

import ast
import graphlib
import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import fastnn as fnn
from fastnn import recipes

PACKAGE = Path(fnn.__file__).parent

# The rooms of the house, floor by floor from the top: the first names below fastnn. A room may import the floors below
# its own. `__init__` is fastnn itself: only the floors above it may import the package as a whole.
FLOORS = (
    {"cli", "__main__"},
    {"recipes", "_bench"},
    {"__init__"},
    {"saving"},
    {"training", "data", "plots", "vision", "interop"},
    {"networks"},
    {"layers", "losses", "optim", "init", "gradients"},
    {"plan"},
    {"functional"},
    {"_runtime"},
    {"reference"},
    {"_kernels", "_validate", "_version", "_extras", "_console", "_json", "_files", "_destination", "_lock"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# The arrows between rooms of one floor: these, and no others.
INSIDE = {
    "__main__": {"cli"},
    "_bench": {"recipes"},
    "training": {"data", "plots"},
    "interop": {"data", "training"},  # the estimators are fitted by a Trainer
    "data": {"vision"},
    "layers": {"init"},
    "optim": {"layers"},
    "gradients": {"layers", "losses"},
    "_files": {"_lock"},
}

# Rooms that are not open to everybody above: who may import them.
OPEN_TO = {
    "_kernels": {"_runtime", "functional", "plan"},
    "reference": {"__init__", "_bench", "functional", "plan"},
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

FILES = {
    ".".join(("fastnn", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): file
    for file in sorted(PACKAGE.rglob("*.py"))
}


class Import(NamedTuple):
    """One import of a file: a module of fastnn where there is one of that name, or what stands in the statement."""

    module: str
    line: int
    at_import: bool  # it runs when the file is imported, not in a function that is called later
    for_types: bool  # it never runs: only a type checker sees it


def room_of(module: str) -> str:
    """The room that a module of fastnn is in."""
    return [*module.split("."), "__init__"][1]


def imports_of(module: str) -> list[Import]:
    file = FILES[module]
    package = module.split(".") if file.stem == "__init__" else module.split(".")[:-1]
    tree = ast.parse(file.read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    later = {id(node) for each in ast.walk(tree) if isinstance(each, functions) for node in ast.walk(each)}
    types = {
        id(node)
        for each in ast.walk(tree)
        if isinstance(each, ast.If) and "TYPE_CHECKING" in ast.unparse(each.test)
        for node in ast.walk(each)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            source = ".".join(filter(None, [base, node.module]))
            names = [full if (full := f"{source}.{a.name}") in FILES else source for a in node.names]
        else:
            continue
        found += [Import(name, node.lineno, id(node) not in later | types, id(node) in types) for name in names]
    return found


IMPORTS = {module: imports_of(module) for module in FILES}


def of_fastnn(module: str) -> list[Import]:
    """The imports of a module that lead to fastnn."""
    return [each for each in IMPORTS[module] if each.module.split(".")[0] == "fastnn"]


def arrows_between_rooms() -> dict[str, set[str]]:
    arrows = defaultdict(set)
    for module in FILES:
        arrows[room_of(module)] |= {room_of(each.module) for each in of_fastnn(module)} - {room_of(module)}
    return arrows


def assert_no_circle(graph: dict[str, set[str]]) -> None:
    """Raises graphlib.CycleError, whose message names the circle."""
    graphlib.TopologicalSorter(graph).prepare()


every_module = pytest.mark.parametrize("module", FILES)


@every_module
def test_arrows_point_down(module):
    room = room_of(module)
    assert room in FLOOR, f"{room} has no place in the house: add it to FLOORS"
    for each in of_fastnn(module):
        other, where = room_of(each.module), f"{module}:{each.line}"
        assert other in FLOOR, f"{where}: imports {each.module}, which has no place in the house"
        assert FLOOR[other] >= FLOOR[room], f"{where}: {room} imports {other}, which stands above it"
        assert other == room or room in OPEN_TO.get(other, {room}), f"{where}: {room} must not know {other}"


def test_arrows_inside_a_floor_are_the_named_ones():
    found = {
        room: beside
        for room, others in arrows_between_rooms().items()
        if (beside := {other for other in others if FLOOR[other] == FLOOR[room]})
    }
    assert found == INSIDE


def test_rooms_close_no_circle():
    assert_no_circle(arrows_between_rooms())


def test_modules_close_no_circle():
    """All imports count that run, those in functions too; within a room, types may be of any module."""
    assert_no_circle({module: {e.module for e in of_fastnn(module) if not e.for_types} - {module} for module in FILES})


def test_the_frame_of_the_recipes_knows_no_system():
    """Only `fastnn.recipes.load` names one: so a system is one file, which can be added and taken away."""
    systems = {name.replace("-", "_") for name in recipes.NAMES}
    assert {file.stem for file in (PACKAGE / "recipes").glob("*.py")} == systems | {"__init__"}
    for module in FILES:
        if module.startswith("fastnn.recipes._frame"):
            named = {part for each in of_fastnn(module) for part in each.module.split(".")[2:3]} & systems
            assert not named, f"{module}: the frame imports {named}"


def test_a_circle_is_found():
    with pytest.raises(ValueError, match=r"cycle"):
        assert_no_circle({"training": {"plots"}, "plots": {"data", "training"}})


@every_module
def test_outside_is_numpy(module):
    for each in IMPORTS[module]:
        top = each.module.split(".")[0]
        if top in {"fastnn", "numpy", "__future__"} or top in sys.stdlib_module_names:
            continue
        assert top in EXTRAS, f"{module}:{each.line}: {top} is not among the extras"
        assert not each.at_import, f"{module}:{each.line}: {top} is imported with the module; import it in the function"


def test_kernels_import_no_python_of_fastnn():
    for file in sorted((PACKAGE / "_kernels").glob("*.pyx")):
        for line in file.read_text().splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]) and "fastnn" in words[1]:
                assert words[1].startswith("fastnn._kernels"), f"{file.name}: {line}"


def test_no_two_kernels_cimport_each_other():
    """Nor in a circle of more: what a module and its .pxd file cimport can be drawn from the top down."""
    sources = Path(__file__).parents[1] / "src" / "fastnn" / "_kernels"  # an installed package has none
    if not sources.exists():
        pytest.skip("a checkout is needed")
    cimports = {}
    for file in sources.glob("*.p[yx][xd]"):
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
    assert len(loaded) < 180 + by_older_numpy, f"{len(loaded)} modules: {loaded}"


def test_public_names():
    layers = "Conv2d MaxPool2d AvgPool2d Linear ReLU Sigmoid Tanh Softmax LogSoftmax Flatten"
    others = "Sequential Module Parameter CrossEntropyLoss SGD functional reference init manual_seed implementation"
    training = "Adam AdamW NAdam RMSprop Adagrad clip_grad_norm_ clip_grad_value_ lr_scheduler"
    control = "set_num_threads get_num_threads num_threads isa show_config __version__"
    expected = f"{layers} {others} {training} {control}".split()
    assert set(expected) <= set(fnn.__all__)
    assert all(hasattr(fnn, name) for name in fnn.__all__)


def test_late_names_are_loaded_once_and_listed(run_python):
    source = (
        "import sys, fastnn\n"
        "late = {'fastnn.plan.training', 'fastnn.gradients', 'fastnn.saving', 'fastnn.optim.lr_scheduler'}\n"
        "assert not late & set(sys.modules), late & set(sys.modules)\n"
        "assert {'TrainingStep', 'gradients', 'lr_scheduler', 'save'} <= set(dir(fastnn))\n"
        "assert fastnn.TrainingStep is fastnn.plan.training.TrainingStep is fastnn.TrainingStep\n"
        "assert fastnn.gradcheck is fastnn.gradients.gradcheck\n"
        "assert fastnn.lr_scheduler is fastnn.optim.lr_scheduler\n"
        "assert 'TrainingStep' in vars(fastnn)\n"
    )
    process = run_python("-c", source)
    assert process.returncode == 0, process.stderr


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
    assert families(Path(__file__).parent / "mutations") <= of_reference
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
