# SPDX-License-Identifier: GPL-3.0-or-later
"""Run as a file, `python start_worker.py ...`, in a Python where this package is not installed: begins worker.py.

Only the package itself becomes known there: not what lies beside its folder (other extensions), nor the files in it.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

# As here, whatever its folder is called: Blender gives installed extensions longer names.
_PACKAGE = "animerun_addon"


def _know_package() -> None:
    folder = Path(__file__).resolve().parents[1]
    found = importlib.util.spec_from_file_location(
        _PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert found is not None
    assert found.loader is not None
    sys.modules[_PACKAGE] = package = importlib.util.module_from_spec(found)
    found.loader.exec_module(package)


if __name__ == "__main__":
    _know_package()
    importlib.import_module(f"{_PACKAGE}.model_bridge.worker").main(sys.argv[1:])
