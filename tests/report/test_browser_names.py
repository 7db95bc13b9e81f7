"""Names of components, edited in a page: everywhere in it, as Python, and in what is saved."""

from __future__ import annotations

import pytest

from tests.helpers.report_data import READY
from tests.helpers.report_page import Shown


@pytest.fixture(autouse=True)
def _names_are_numbers(page):
    if page.ask("location.href") != page.path.resolve().as_uri():
        page.open()
    page.browser.size(1280, 1600)
    page.ask("report.names.forEach((_, k) => report.naming.rename(k, String(k + 1)))")


def rename(page, number, text):
    """As a reader does it: into the field, all of it selected, and out again."""
    page.ask(f"(e => {{ e.focus(); e.select(); }})({field(number)})")
    page.browser.write(text)
    page.ask(f"{field(number)}.blur()")
    page.browser.frames()


def field(number):
    return f"document.querySelector('input.rename[data-number=\"{number}\"]')"


def shown(page, number):
    """Every text of the page that names a component."""
    return page.ask(
        f"[...document.querySelectorAll('[data-name=\"{number}\"]'),"
        f"report.scans[0].tiles['s0c{number}'].title].map(e => e.textContent)"
    )


def test_a_name_is_changed_wherever_it_stands_and_is_never_read_as_markup(page):
    name = "<b>酸化ケイ素</b> & Ω"
    rename(page, 1, name)
    texts = shown(page, 1)
    assert len(texts) > 2
    assert set(texts) == {name}
    page.click("[data-layer=s0c1]")
    assert page.text(".large-title") == f"Component {name}"
    assert page.ask("document.querySelectorAll('b').length") == page.ask(
        "document.querySelectorAll('.facts b').length"
    )
    page.at_pixel(2, 2)
    page.click("[data-layer=s0all]")
    assert f"{name}: " in page.text("#scan0 .readout")
    page.is_calm()


@pytest.mark.parametrize(
    ("text", "said"),
    [("  ", "A name is needed"), ("7", "taken for a number"), ("2", "taken for a number")],
)
def test_a_name_that_python_would_refuse_is_refused(page, joint, text, said):
    rename(page, 0, text)
    assert said in page.text("#names-told")
    assert set(shown(page, 0)) == {"1"}
    assert page.ask(f"{field(0)}.value") == "1"
    with pytest.raises(ValueError, match="name"):
        joint.renamed({1: text})


def test_a_name_of_another_component_is_refused_and_forty_letters_are_not(page):
    rename(page, 0, "core")
    rename(page, 1, "core")
    assert "Component 1 is called core" in page.text("#names-told")
    assert set(shown(page, 1)) == {"2"}
    rename(page, 1, "W" * 40)
    page.browser.size(400, 900)
    page.browser.frames()
    assert page.ask("document.documentElement.scrollWidth") <= 400
    assert set(shown(page, 1)) == {"W" * 40}


def test_the_python_of_a_page_gives_the_names_and_finds_the_pixel(page, joint, tmp_path):
    rename(page, 0, 'a "shell"')
    rename(page, 2, "кремний")
    page.at_pixel(2, 7, click=True)
    page.click("#copy-python")
    lines = page.text("#python").splitlines()
    joint.save(tmp_path / "result.npz")
    known = {}
    exec("\n".join(lines).replace("result.npz", str(tmp_path / "result.npz")), known)
    assert known["result"].component_names == ('a "shell"', "2", "кремний")
    place = lines[-1].split("data.numpy()")[1]
    data = joint.minimised.datasets["eels"]
    got = eval(f"x{place}", {"x": data.numpy()})
    assert got.tolist() == data.numpy()[2, 7].tolist()
    assert lines[-1].startswith("# eels at x 3.5 nm, y 1 nm: ")


def test_a_saved_page_opens_with_the_names_that_were_given(page, joint, tmp_path):
    rename(page, 1, "shell </script>")
    path = tmp_path / "saved.html"
    path.write_text(page.ask("report.naming.saved()"), encoding="utf-8")
    page.browser.complaints.clear()
    page.browser.open(path, READY)
    assert set(shown(page, 1)) == {"shell </script>"}
    assert set(shown(page, 0)) == {"1"}
    page.at_pixel(2, 7)
    (fit,) = page.values("spectrum0-source", "fit")
    assert fit == pytest.approx(joint["S_eels"] @ joint["C"][31], rel=1e-5)
    assert page.browser.complaints == []


def test_names_that_the_result_has_stand_in_the_cautions_and_may_be_changed_there(
    browser, joint, tmp_path
):
    named = joint.renamed({1: "core", 2: "shell", 3: "hole"})
    shown_page = Shown(browser, named, tmp_path / "named.html")
    cautions = ".cautions li [data-name]"
    told = browser.ask(f"[...document.querySelectorAll('{cautions}')].map(e => e.textContent)")
    assert set(told) <= {"core", "shell", "hole"}
    assert told, "no caution of this result names a component"
    number = browser.ask(f"document.querySelector('{cautions}').dataset.name")
    rename(shown_page, number, "new")
    assert shown_page.text(cautions) == "new"


def test_without_a_name_changed_the_python_renames_nothing(page):
    page.click("#copy-python")
    assert "renamed" not in page.text("#python")
