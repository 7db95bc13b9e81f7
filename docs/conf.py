"""The site: `python -m sphinx -W --keep-going -n docs docs/_build/html`, without a network."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE / "_extensions"))
os.environ.setdefault("MPLBACKEND", "Agg")

import borrowed_pages  # noqa: E402

import fusion  # noqa: E402

project = "sdfusion"
author = "sdfusion contributors"
project_copyright = author
release = version = fusion.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "borrowed_pages",
    "page_figures",
    "public_names",
    "sentence_search",
]
exclude_patterns = ["_build", "_extensions", "_templates", "**/.ipynb_checkpoints"]
templates_path = ["_templates"]

# reference
autosummary_generate = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
default_role = "fu"  # `Name` in a docstring: a link where it is a public name, else code
maximum_signature_line_length = 80
add_module_names = False
toc_object_entries_show_parents = "hide"

# pages and notebooks; these keep their outputs and are run by CI, not here
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "html_image"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
suppress_warnings = ["mystnb.unknown_mime_type", "config.cache"]

# look
html_theme = "pydata_sphinx_theme"
html_title = "sdfusion"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_js_files = [("name_breaks.js", {"defer": "defer"})]
html_copy_source = False
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_show_search_summary = False  # it fetches pages, which a file may not: see sentence_search
html_theme_options = {
    "navigation_with_keys": False,
    "header_links_before_dropdown": 7,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": [],
}
alone = (
    "index",
    "questions",
    "cite",
    "errors",
    "changes",
    "formats",
    "hyperspy",
    "benchmarks",
    "contributing",
)
html_sidebars = {page: [] for page in alone}  # pages that have no others beside them

# CI has just run them, and shows what that gave
ran = Path(os.environ.get("SITE_NOTEBOOKS", ROOT / "notebooks"))
borrowed_pages.copy_notebooks(ran, HERE / "gallery")


def open_groups(_app, page, _template, context, _doctree):
    """The side bar of the how-to pages shows its groups open; others are too long for it."""
    if page.startswith("how_to/"):
        context["theme_show_nav_level"] = 2


def setup(app):
    app.connect("html-page-context", open_groups)
