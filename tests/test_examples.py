"""The scripts in examples/ run, and print what they promise."""

import re
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
# The end of what each prints, and the packages that it needs besides NumPy.
ENDS = {
    "digits": (r"9[4-9]\.\d% of 1000 test images are right", ()),
    "table": (r"mean price 29\d, mean error (8|9|10)\.\d", ()),
    "autoencoder": (r"PSNR on the test images: 1[78]\.\d\d dB", ("matplotlib",)),
    "image_folder": (r"circle, square, triangle: (8|9)\d\.\d% of 120 images .* are right", ("PIL",)),
    "service": (r"after: \{'digit': 7, .*\nrefused: \{'error': 'cannot reshape .*\}", ()),
    "own_layer": (r"beta is \d\.\d\d now; 9[4-9]\.\d% of the test images are right", ()),
}


def test_every_example_is_run():
    assert {file.stem for file in EXAMPLES.glob("*.py")} == set(ENDS)


@pytest.mark.parametrize("name", ENDS)
def test_example(name, monkeypatch, tmp_path, capsys):
    end, packages = ENDS[name]
    for package in packages:
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{name}.py"])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert re.search(f"{end}\n$", capsys.readouterr().out)


def test_the_first_example_has_twenty_lines():
    """As the documentation promises."""
    assert len((EXAMPLES / "digits.py").read_text().splitlines()) <= 20
