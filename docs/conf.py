"""Settings of Sphinx, which makes the site. How to build it is in architecture.md."""

from __future__ import annotations

import dualgrad

project = "dualgrad"
author = "the dualgrad developers"
version = release = dualgrad.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3  # [text](page.md#a-heading)

# Docstrings: a name between single backticks is code, and a link where it is one of ours.
default_role = "py:obj"
autodoc_typehints = "none"
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_google_docstring = False

html_theme = "furo"
html_title = f"dualgrad {release}"
html_copy_source = False
