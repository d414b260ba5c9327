"""The examples in docstrings run, and everything public has one."""

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import fastnn as fnn
import fastnn.plots

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
FINDER = doctest.DocTestFinder(exclude_empty=True)
BASES = (fnn.Module, fnn.losses.Loss, fnn.optim.Optimizer, fnn.lr_scheduler.LRScheduler)
NAMES = {"np": np, "fnn": fnn, "F": fnn.functional, "plots": fnn.plots}  # what examples need not import
NEEDS = {
    "plots": "matplotlib",
    "vision": "skimage",
    "interop.torch.from_modules": "torch",
    "interop.torch.modules": "torch",
    "interop.torch.optimizers": "torch",
}  # rooms whose examples need a package
LEFT_OUT = ("fastnn.__main__",)  # runs the command when it is imported


def modules():
    """Every module of the package written in Python."""
    names = [each.name for each in pkgutil.walk_packages(fnn.__path__, "fastnn.")]
    return ["fastnn", *(name for name in names if "._kernels." not in name and name not in LEFT_OUT)]


def public():
    """Layers, losses, optimisers, schedules, functions and plots by their names."""
    found = {f"fastnn.{name}": getattr(fnn, name) for name in fnn.__all__}
    found = {name: each for name, each in found.items() if isinstance(each, type) and issubclass(each, BASES)}
    for module in (fnn.functional, fnn.reference, fnn.plots, fnn.lr_scheduler):
        for name in module.__all__:
            if callable(getattr(module, name)):
                found[f"{module.__name__}.{name}"] = getattr(module, name)
    return found


def test_what_is_public():
    """As a guard of the list above: some of each kind."""
    assert {"fastnn.Conv2d", "fastnn.MSELoss", "fastnn.SGD", "fastnn.reference.relu", "fastnn.plots.kernels"} <= set(
        public()
    )


@pytest.mark.parametrize("name", public())
def test_has_an_example(name):
    assert doctest.DocTestParser().get_examples(inspect.getdoc(public()[name]) or ""), f"{name}: no example"


@pytest.mark.parametrize("name", modules())
def test_examples_run(name, monkeypatch, tmp_path):
    """Those of the twins on the twins; the functions have the same ones, which run on the kernels."""
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    for room, package in NEEDS.items():
        if name.startswith(f"fastnn.{room}"):
            pytest.importorskip(package)
    implementation = "reference" if name.startswith("fastnn.reference") else "kernels"
    for test in FINDER.find(module, globs=NAMES):
        if not test.examples:
            continue
        report = []
        with fnn.implementation(implementation):
            doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
        assert not report, "".join(report)
