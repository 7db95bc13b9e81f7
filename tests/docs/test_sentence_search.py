"""Questions typed into the search box as they stand lead to their pages, without a network.

On a site that has been built, by CI or by hand; else skipped.
"""

from __future__ import annotations

import re

import pytest

from tests.helpers.headless_browser import until
from tests.helpers.paths import ROOT

ASKED = re.compile(r"^\d+\. (?P<question>.+?) (?=\[→\])(?P<pages>.+)$", re.M)
QUESTIONS = [
    (found["question"], re.findall(r"\]\(([\w/]+)\.\w+\)", found["pages"]))
    for found in ASKED.finditer((ROOT / "docs" / "questions.md").read_text(encoding="utf-8"))
]
FIELD = ".bd-search-container input[name=q]"
SEARCHED = "/finished|did not match/.test(document.querySelector('.search-summary')?.innerText)"


def found(browser, site, words):
    """Pages of the results, first the best, of what is typed into the field and sent.

    As a reader does, into the field of the page that shows the last results.
    """
    browser.complaints.clear()
    browser.requests.clear()
    if "search.html" not in browser.ask("location.href"):
        browser.open(site / "search.html", "document.readyState === 'complete'")
    browser.ask(f"document.querySelector({FIELD!r}).select(); window.left = true")
    browser.write(words)
    given = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
    browser.call("Input.dispatchKeyEvent", type="keyDown", **given)
    until(lambda: arrived(browser), f"no results: {words}")
    pages = browser.ask(
        "[...document.querySelectorAll('ul.search li a')].map(a => a.getAttribute('href'))"
    )
    return [page.split(".html")[0] for page in pages]


def arrived(browser):
    try:
        return browser.ask(f"!window.left && {SEARCHED}")
    except AssertionError:  # the page was just left
        return False


def test_the_box_of_the_start_page_leads_there(browser, site):
    browser.open(site / "index.html", "document.readyState === 'complete'")
    browser.ask("document.querySelector('.search-button__button').click()")
    browser.write("How do I get atomic per cent?")
    given = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
    browser.call("Input.dispatchKeyEvent", type="keyDown", **given)
    until(lambda: arrived(browser), "no results")
    assert "how_to/atomic_per_cent.html" in browser.ask(
        "document.querySelector('ul.search li a').href"
    )


def test_there_are_forty_questions_with_a_page_each():
    assert len(QUESTIONS) == 40
    assert all(pages for _, pages in QUESTIONS)


@pytest.mark.parametrize(("question", "pages"), QUESTIONS)
def test_a_question_as_it_stands_finds_its_page_among_the_first_three(
    browser, site, question, pages
):
    first = found(browser, site, question)[:3]
    assert set(pages) & set(first), f"{question}: {first}"


def test_a_name_finds_its_own_page_first(browser, site):
    assert found(browser, site, "SharedMaps")[0] == "reference/pages/fusion.models.SharedMaps"


def test_words_that_no_page_has_find_nothing(browser, site):
    assert found(browser, site, "qwertz yxcvb") == []


def test_stop_words_alone_are_searched_for_as_they_are(browser, site):
    assert "how_to/your_own_model" in found(browser, site, "use works get model")


def test_nothing_is_fetched_and_nothing_complained_of(browser, site):
    found(browser, site, "How do I get atomic per cent?")
    assert browser.complaints == []
    assert {url.split(":")[0] for url in browser.requests} <= {"file", "data"}


def test_what_is_found_is_told_by_the_first_words_of_its_page(browser, site):
    found(browser, site, "atomic per cent")
    told = browser.ask("document.querySelector('ul.search li').innerText")
    assert "Let the components be compositions" in told
