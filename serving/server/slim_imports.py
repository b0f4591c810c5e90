"""Block optional imports of LightGBM and NumPy that serving does not need. Must be imported first.

LightGBM imports scikit-learn if it is installed, for estimators that are not used here; this takes a second and about
60 MB. NumPy, as imported by SciPy, has a reader of Fortran files that imports a library for detecting encodings. Both
work without these libraries. NumPy's linear algebra would also start a thread per processor, for large matrices that
requests do not have.
"""

from __future__ import annotations

import os
import sys

#: Python treats a module whose entry in `sys.modules` is None as not importable.
BLOCKED_MODULES = ("sklearn", "charset_normalizer")

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
for _name in BLOCKED_MODULES:
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]
