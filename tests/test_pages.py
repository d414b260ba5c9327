"""What the pages for users say runs: their blocks of Python in order, in one namespace a page; commands are understood.

Two comments in a page, which readers do not see, help: ``<!-- first: ... -->`` has Python that is run before the block
that follows it, and ``<!-- not run: why -->`` stands before a block that is left out.
"""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest

from fastnn import cli, recipes

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:^<!-- (first|not run): ?(.*?) ?-->\n+)?^```(\w+)\n(.*?)^```$", re.M | re.S)
# What pages need besides NumPy and what they import: readers have installed the extra `train`.
OF_TRAIN = ("PIL", "matplotlib", "safetensors", "scipy", "skimage", "sklearn")


class Block(NamedTuple):
    language: str
    code: str
    line: int  # of its first line, counted from 0
    before: str  # Python that is run first
    is_run: bool


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            language,
            code,
            text[: found.start(4)].count("\n"),
            comment if kind == "first" else "",
            kind != "not run",
        )
        for found in BLOCK.finditer(text)
        for kind, comment, language, code in [found.groups("")]
    ]


def python_of(page: Path) -> list[Block]:
    return [each for each in blocks(page) if each.language == "python" and each.is_run]


def commands() -> list[tuple[str, str]]:
    """Every line of a page that begins with ``fastnn``, without comments."""
    lines = (
        (page.name, line.partition("  #")[0].strip())
        for page in PAGES
        for each in blocks(page)
        if each.language == "bash"
        for line in each.code.splitlines()
    )
    return sorted({(page, line) for page, line in lines if line.startswith("fastnn ")})


@pytest.mark.parametrize("page", [page for page in PAGES if python_of(page)], ids=lambda page: page.stem)
def test_blocks_of_python(page, monkeypatch, tmp_path):
    mine = python_of(page)
    for package in OF_TRAIN:
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page.stem}
    for each in mine:
        for package in re.findall(r"^(?:import|from) .*\b(torch|onnx)\b", each.code, re.M):
            pytest.importorskip(package)
        exec(compile(each.before, f"{page.name}, first", "exec"), names)
        exec(compile("\n" * each.line + each.code, str(page), "exec"), names)


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands(page, line, monkeypatch, tmp_path, capsys):
    """Options and values are such as there are; nothing is trained. A sweep's are checked as those of one run."""
    monkeypatch.chdir(tmp_path)
    _, command, *words = shlex.split(line)
    if command == "sweep":
        values = [word.replace("_", "-").partition("=") for word in words if "=" in word]
        words = [word for word in words if "=" not in word and word != "--grid"]
        for option in {"--out", "--jobs"} & set(words):
            place = words.index(option)
            del words[place : place + 2]
        words += [word for name, _, value in values for word in (f"--{name}", value.split(",")[0])]
        command = "train"
    if command == "train" and words[0] in recipes.NAMES:
        monkeypatch.setattr(recipes.load(words[0]), "run", lambda settings: None)
    if command == "bench":
        words.append("--list")
    status = cli.main([command, *words])
    wrong_line = 2  # without its files, a command fails otherwise
    assert status != wrong_line, capsys.readouterr().err


def test_a_block_has_its_language():
    """Else nobody would notice that it is not run."""
    for page in PAGES:
        fences = re.findall(r"^ *```(.*)$", page.read_text(encoding="utf-8"), re.M)
        assert all(fences[::2]), f"{page.name}: a block without a language"
        assert len(fences) % 2 == 0


def test_links_lead_somewhere():
    for page in PAGES:
        text = re.sub(r"^```.*?^```$|<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for target, _, anchor in (found.partition("#") for found in re.findall(r"\]\(([^)\s]+)\)", text)):
            if "://" in target:
                continue
            other = page.parent / target if target else page
            assert other.exists(), f"{page.name}: {target} is not there"
            if anchor and other.suffix == ".md":
                headings = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), re.M)
                known = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
                assert anchor in known, f"{page.name}: {target} has no heading {anchor}"
