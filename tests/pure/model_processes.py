# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the model client share: one that loses patience fast, and a look at what is left behind."""

import os
import tempfile
import time
from pathlib import Path

from animerun_addon.model_bridge.client import ModelClient
from animerun_addon.model_bridge.service import Rhythm
from animerun_addon.model_bridge.supervisor import Limits

FAKES = Path(__file__).with_name("fake_models.py")
PATIENCE_S = 30.0
MOST_BYTES = 1 << 24


def impatient(**changes):
    """Limits, and among them those of the process's rhythm."""
    rhythm = {"heartbeat_s": 0.1, "release_s": 60.0, "end_s": 120.0}
    rhythm |= {name: changes.pop(name) for name in list(changes) if name in rhythm}
    limits = {"stop_s": 0.3, "start_s": PATIENCE_S, "silence_s": 5.0, "array_bytes": MOST_BYTES, **changes}
    return Limits(**limits, rhythm=Rhythm(**rhythm))


def fake_client(threaded=True, **changes):
    return ModelClient(program=FAKES, threaded=threaded, limits=impatient(**changes))


def until(condition, patience_s=PATIENCE_S):
    """Wait for something that another process does."""
    end_s = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.01)


def lives(pid):
    """Whether it runs, and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def model_processes(temporary=None):
    """Those whose folder is in this temporary folder: it stands among the words that started them."""
    temporary = os.fsencode(temporary or tempfile.gettempdir())
    found = []
    for words in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            is_ours = temporary + b"/animerun_models_" in words.read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if is_ours and lives(int(words.parent.name)):
            found.append(int(words.parent.name))
    return found


def scratch_folders():
    return list(Path(tempfile.gettempdir()).glob("animerun_models_*"))


def requests_with_files():
    """The folders of requests that are there now."""
    return [path for folder in scratch_folders() for path in folder.iterdir() if path.is_dir()]
