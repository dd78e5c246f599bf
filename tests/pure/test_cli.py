# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line without Blender: one line per mistake, exit codes, JSON, a supervising parent."""

import json
import subprocess
import sys

import pytest

from animerun_addon import cli, terminal
from animerun_addon.progress import JobStatus, Progress
from animerun_addon.version import VERSION


def run(*arguments, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "animerun_addon", *arguments],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **kwargs,
    )  # fmt: skip


def test_version_as_json(capfd):
    assert cli.main(["version", "--json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert answer["animerun"] == VERSION


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["fly"], "fly"),
        ([], "COMMAND"),
        (["demo"], "OUT"),
        (["demo", "x", "--sed", "1"], "--sed"),
        (["demo", "x", "--seed", "one"], "one"),
        (["render", "a.blend", "--out", "x", "--frames", "5-1"], "5-1"),
        (["export", "--out", "x"], "FILE"),
        (["export", "a.blend"], "--out"),
        *(
            (["export", "a.blend", "--out", "x", *words], named)
            for words, named in [
                (["--frames", "5-1"], "5-1"),
                (["--frames", ""], "write 12, 1-48"),
                (["--step", "0"], "give 1 or more"),
                (["--step", "two"], "two"),
                (["--stride", "0"], "'0'"),
                (["--stride", "1,-2"], "'1,-2'"),
                (["--stride", ""], "write 1, or 1, 2, 3"),
                (["--stride", "2,2"], "different numbers"),
                (["--labels", ""], "no label ''"),
                (["--labels", "frames,flows"], "'flows': there are frames, contour"),
                (["--labels", "Frames"], "'Frames'"),
                (["--augment", "-1"], "cannot be negative"),
                (["--split", "val"], "'val'"),
                (["--clip", ""], "use letters"),
                (["--clip", "../x"], "'../x'"),
                (["--clip", ".hidden"], "'.hidden'"),
                (["--clip", "カット"], "'カット'"),
                (["--occlusion", "rough"], "rough"),
                (["--segments", "colour"], "colour"),
                (["--matching", "ids"], "ids"),
            ]
        ),
    ],
)
def test_mistakes_get_one_line_and_code_2(arguments, named, capfd):
    assert cli.main(arguments) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert named in captured.err


def test_mistakes_as_json(capfd):
    assert cli.main(["fly", "--json"]) == 2
    answer = json.loads(capfd.readouterr().out)
    assert answer["code"] == 2
    assert "fly" in answer["error"]


def test_help_is_no_mistake(capfd):
    assert cli.main(["--help"]) == 0
    assert "demo" in capfd.readouterr().out


def test_without_bpy_the_remedy_is_named(capfd, monkeypatch):
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda _name: None)
    assert cli.main(["demo", "nowhere"]) == 2
    assert "needs Blender" in capfd.readouterr().err


def test_a_bug_of_ours_is_code_3(capfd, monkeypatch):
    monkeypatch.setattr(cli, "_blender_version", lambda: 1 / 0)
    assert cli.main(["version"]) == 3
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_ctrl_c_is_code_130(capfd, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_blender_version", interrupt)
    assert cli.main(["version"]) == 130
    assert "Cancelled" in capfd.readouterr().err


def test_c_level_chatter_does_not_reach_stdout():
    program = (
        "import ctypes, os\n"
        "from animerun_addon.terminal import quiet_blender\n"
        "with quiet_blender(False):\n"
        "    ctypes.CDLL(None).puts(b'Saved: frame'); os.write(1, b'chatter'); print('python')\n"
        "print('result')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "result\n"


def test_progress_line_only_on_a_terminal(capfd, monkeypatch):
    console = terminal.Terminal(as_json=False)
    status = JobStatus("Render", Progress(1, 4, "Rendering frame 2"), started_s=0.0)
    console.show(status)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    console.show(status)
    console.finish({})
    line = capfd.readouterr().err
    assert "25 %" in line
    assert line.endswith("\n")


def test_parent_reads_progress_and_result_from_the_report(tmp_path):
    report = tmp_path / "report"
    assert run("version", "--report-to", str(report)).returncode == 0
    messages = [json.loads(line) for line in report.read_text().splitlines()]
    assert messages[-1]["result"]["animerun"] == VERSION


def test_parent_reads_mistakes_from_the_report(tmp_path):
    report = tmp_path / "report"
    done = run(
        "render", str(tmp_path / "no.blend"), "--out", str(tmp_path), "--frames", "x", "--report-to", str(report)
    )
    assert done.returncode == 2
    assert "'x'" in json.loads(report.read_text())["error"]
