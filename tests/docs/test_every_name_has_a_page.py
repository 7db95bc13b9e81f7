"""Every public name stands in one list of the reference, of which the build makes its page."""

from __future__ import annotations

import importlib
import inspect
import re
import sys

import pytest

import fusion as fu
from tests.helpers.paths import ROOT

REFERENCE = ROOT / "docs" / "reference"
sys.path.insert(0, str(ROOT / "docs" / "_extensions"))
names_on_pages = importlib.import_module("name_list")

LISTED = [
    name
    for page in sorted(REFERENCE.glob("*.rst"))
    for name in re.findall(r"^   (fusion\.[\w.]+)$", page.read_text(encoding="utf-8"), re.M)
]


def there(name):
    *_, room, tail = name.split(".")
    return getattr(fu if room == "fusion" else importlib.import_module(f"fusion.{room}"), tail)


def test_no_name_is_listed_twice_and_all_are_there():
    assert len(set(LISTED)) == len(LISTED)
    for name in LISTED:
        there(name)


@pytest.mark.parametrize("room", ["", *names_on_pages.ROOMS])
def test_every_public_name_of_a_room_is_listed(room):
    module = importlib.import_module(f"fusion.{room}") if room else fu
    listed = [there(name) for name in LISTED]
    missing = [
        name
        for name in module.__all__
        if not name.startswith("__")
        and not inspect.ismodule(thing := getattr(module, name))
        and not any(thing is other for other in listed)
    ]
    assert not missing


def test_rooms_are_all_packages_that_the_package_hands_out():
    rooms = {name for name in fu.__all__ if inspect.ismodule(getattr(fu, name))}
    assert rooms <= set(names_on_pages.ROOMS)


@pytest.mark.parametrize("owner", names_on_pages.METHODS)
def test_methods_are_the_classes_own_and_not_of_torch(owner):
    listed = names_on_pages.methods(owner)
    assert listed
    assert not {"register_buffer", "state_dict", "parameters"} & set(listed)


def test_pages_that_differ_in_capitals_alone_have_files_that_differ_in_more():
    files = names_on_pages.filenames()
    pages = [files.get(name, name).lower() for name in LISTED]
    assert len(set(pages)) == len(pages)
