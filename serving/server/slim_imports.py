"""Imported first by a process that only serves: what LightGBM and numpy bring along for fitting is left out.

LightGBM imports scikit-learn where it finds it, for estimators that nobody here asks for: a second and some 60 MB.
Where it is not installed, it does without; so it does in this process. numpy, whole as SciPy imports it, has a reader
of Fortran files and with it a library that guesses encodings, without which it does too. numpy's linear algebra would
start a thread for each processor, for matrices that a request does not have.
"""

from __future__ import annotations

import os
import sys

#: None in `sys.modules` is Python's own way to say that a module cannot be imported.
BLOCKED_MODULES = ("sklearn", "charset_normalizer")

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
for _name in BLOCKED_MODULES:
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]
