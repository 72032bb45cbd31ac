"""Hostile words in every place of the report stay words; take the escape away and this fails."""

from __future__ import annotations

import dataclasses

import mistune
import pytest
from jinja2 import Environment

from loomtriage.report import html, markdown
from loomtriage.report.page import environment, render
from tests.report.make_page import page
from tests.report.payloads import LABELS, SCRIPTS, SPOOFS
from tests.report.test_page import Reader

pytestmark = pytest.mark.usefixtures("one_picture")

HOSTILE = tuple(words for words in (*SCRIPTS, *LABELS, *SPOOFS) if words.strip())


def saying(words):
    """A page that says the same in every place, with the same words as address."""
    return page(lambda _: words, url=words)


def shape(source):
    """The tags of a page with the names of their attributes, and where its links lead."""
    reader = Reader(source)
    tags = [(tag, tuple(sorted(attrs))) for tag, attrs in reader.tags]
    return tags, [attrs["href"] for attrs in reader.named("a") if attrs["href"][0] != "#"]


@pytest.fixture(scope="module")
def twin():
    """The shape of the page that says something harmless everywhere."""
    return shape(html(saying("benign words")))


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_are_words(words, twin):
    """The page has exactly the markup of its harmless twin, links included, and is valid UTF-8."""
    source = html(saying(words))
    source.encode("utf-8")
    assert shape(source) == twin


@pytest.mark.parametrize("words", SPOOFS)
def test_nothing_invisible_is_in_the_file(words):
    """No control, direction mark, zero width or surrogate reaches the file, in HTML or Markdown."""
    bad = {char for char in words if not char.isprintable() or char in "\u3164\u2800\u115f\u0336"}
    assert bad, "the payload must be one"
    for source in (html(saying(words)), markdown(saying(words))):
        assert not [char for char in bad if source.count(char * 3)]
        assert not bad & set(source) - set("\n\u0336")


def test_without_the_escape_the_detector_finds_it(twin):
    """Control: the same templates without autoescape give another shape, so the tests above see."""
    house = environment()
    careless = Environment(
        loader=house.loader,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = 0
    for words in SCRIPTS:
        try:
            found += shape(render(saying(words), careless)) != twin
        except AssertionError:  # nesting broken beyond reading
            found += 1
    assert found >= len(SCRIPTS) * 0.8


def test_the_house_environment_escapes_and_forgives_nothing():
    """Autoescape on, undefined names raise, and no template switches the escape off."""
    house = environment()
    assert house.autoescape is True
    assert house.from_string("{{ x }}").render(x="\x1b<b>") == "␛&lt;b&gt;"
    for name in house.list_templates():
        source = house.loader.get_source(house, name)[0]
        assert "|safe" not in source.replace(" ", "")
        assert "autoescape" not in source


def test_only_known_places_are_linked():
    """A hostile address is text; loopback and this run's sources are links without a referrer."""
    reader = Reader(html(page()))
    links = [attrs for attrs in reader.named("a") if attrs["href"][0] != "#"]
    assert len(links) == 2
    assert all(attrs["rel"] == "noreferrer noopener" for attrs in links)
    elsewhere = page(url="https://evil.invalid/")
    bare = dataclasses.replace(elsewhere, sources=())
    assert not [a for a in Reader(html(bare)).named("a") if a["href"][0] != "#"]
    assert "https://evil.invalid/" in html(bare)


def test_enormous_words_keep_the_page_small():
    """100 000 characters in every place are cut, and the page says how much is gone."""
    source = html(saying("w" * 100_000))
    assert len(source) < 1_000_000
    assert "more characters)" in source


@pytest.mark.parametrize("words", HOSTILE)
def test_the_summary_is_words_too(words):
    """Rendered with raw HTML allowed, the summary has the tags of its harmless twin."""
    read = mistune.create_markdown(escape=False, plugins=["table", "url", "strikethrough"])
    tags = [
        {part.split(">")[0].split()[0] for part in read(markdown(saying(w))).split("<")[1:]}
        for w in (words, "benign words")
    ]
    assert tags[0] <= tags[1] | {"br"}
