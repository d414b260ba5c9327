"""The developers' pages name what exists, link to what is there, and keep to short sentences."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "HACKING.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "dev").glob("*.md"))]
FOLDERS = ("", "src/fastnn", "src/fastnn/_kernels", "src/fastnn/_kernels/csrc", "tests", "docs/dev")
SOURCES = {".py", ".pyx", ".pxd", ".pyi", ".h", ".c", ".toml", ".yml", ".md"}
LONGEST = 25  # words of a sentence

# Python's, a compiler's, or what a run makes: names that our sources need not have
ELSEWHERE = {
    "MemoryError", "build_ext", "ffast", "float", "valgrind",
    "__builtin_convertvector",
}  # fmt: skip

pytestmark = pytest.mark.skipif(not (ROOT / ".ci").is_dir(), reason="needs all that git knows of")
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def prose(page):
    """The text without what stands in fences."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)


@pytest.fixture(scope="module")
def words():
    """Every identifier of the tree, but those of the developers' pages themselves."""
    files = [ROOT / "setup.py", ROOT / "pyproject.toml", ROOT / ".ci/run"]
    for folder in ("src", "tests", "tools", "bench", ".github"):
        files += [f for f in (ROOT / folder).rglob("*") if f.suffix in SOURCES or f.parent.name == "tools"]
    found = set()
    for file in files:
        if file.is_file() and file.name != Path(__file__).name:
            found |= set(re.findall(r"[A-Za-z_]\w*", file.read_text(errors="replace")))
    return found


def is_path(span):
    return "/" in span or ("." in span and "." + span.rsplit(".", 1)[1] in SOURCES)


def exists(path):
    path = re.sub(r"<\w+>", "*", path).rstrip("/")
    return any(list((ROOT / folder).glob(path)) for folder in FOLDERS)


@pages
def test_files_and_names_exist(page, words):
    missing = []
    for span in re.findall(r"`([^`\n]+)`", prose(page)):
        if span in SOURCES:
            continue
        if re.fullmatch(r"[\w<>*./-]+", span) and is_path(span):
            if not exists(span):
                missing.append(span)
            continue
        names = re.findall(r"[A-Za-z_]\w*", re.sub(r'"[^"]*"', "", span))
        if " " in span or "=" in span:  # a command or an expression: only what can be nothing but a name
            names = [name for name in names if "_" in name.strip("_")]
        missing += [name for name in names if name not in words | ELSEWHERE and not name.startswith("my_")]
    assert not missing, f"{page.name} names what is not there: {missing}"


@pages
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        to = (page.parent / file).resolve() if file else page
        assert to.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", to.read_text(), flags=re.M)
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}, target


def sentences(text):
    text = re.sub(r"^#.*$", "\n", text, flags=re.M)
    text = re.sub(r"^\|[-| :]*\|$", "", text, flags=re.M)
    text = re.sub(r"^\|(.*)\|$", lambda m: "\n\n" + "\n\n".join(m[1].split("|")) + "\n\n", text, flags=re.M)
    text = re.sub(r"^\s*(-|\d+\.) ", "\n\n", text, flags=re.M)
    text = re.sub(r"`[^`]+`", "name", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    for paragraph in re.split(r"\n\s*\n", text):
        yield from re.split(r"(?<=[.!?:;])[*)]*\s+", " ".join(paragraph.split()))


@pages
def test_sentences_are_short(page):
    long = [s for s in sentences(prose(page)) if len(re.findall(r"[\w'./%-]*\w", s)) > LONGEST]
    assert not long, f"{page.name}: " + "\n".join(long)
