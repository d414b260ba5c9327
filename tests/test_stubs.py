"""Stubs say what the compiled modules have: as stubtest does, but with nothing installed beside fastnn."""

import ast
import importlib
import inspect
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import fastnn as fnn

KERNELS = Path(fnn.__file__).parent / "_kernels"
SHARED_BY_CYTHON = "_cyutility"
LIBRARIES = [file for suffix in EXTENSION_SUFFIXES for file in KERNELS.glob(f"_*{suffix}")]
MODULES = sorted({file.name.split(".")[0] for file in LIBRARIES} - {SHARED_BY_CYTHON})


def parameters(function):
    """(name, default) of what a `def` of a stub takes."""
    arguments = [*function.args.posonlyargs, *function.args.args]
    missing = [inspect.Parameter.empty] * (len(arguments) - len(function.args.defaults))
    defaults = [*missing, *map(ast.literal_eval, function.args.defaults)]
    return [(a.arg, d) for a, d in zip(arguments, defaults, strict=True)]


def members(space):
    """The public names of a module or class that were made in it, or are constants."""
    own = getattr(space, "__module__", None) or space.__name__
    made = {name: value for name, value in vars(space).items() if not name.startswith("_")}
    return {name for name, value in made.items() if getattr(value, "__module__", own) == own}


def declared(body):
    found = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.AnnAssign):
            found[node.target.id] = node
    return found


def test_every_compiled_module_has_a_stub():
    assert sorted(file.stem for file in KERNELS.glob("*.pyi")) == MODULES
    assert (KERNELS.parent / "py.typed").exists()


@pytest.mark.parametrize("name", MODULES)
def test_stub_and_module_have_the_same_names_and_parameters(name):
    module = importlib.import_module(f"fastnn._kernels.{name}")
    stub = declared(ast.parse((KERNELS / f"{name}.pyi").read_text()).body)
    assert set(stub) == members(module)
    for thing, node in stub.items():
        if isinstance(node, ast.FunctionDef):
            runtime = inspect.signature(getattr(module, thing)).parameters.values()
            assert parameters(node) == [(p.name, p.default) for p in runtime], thing
        elif isinstance(node, ast.ClassDef):
            public = {method for method in declared(node.body) if not method.startswith("_")}
            assert public == {method for method in vars(getattr(module, thing)) if not method.startswith("_")}, thing
