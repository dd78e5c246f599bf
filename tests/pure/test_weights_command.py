# SPDX-License-Identifier: GPL-3.0-or-later
"""`animerun weights` as a shell user sees it: answers, exit codes, one line a mistake."""

import hashlib
import json
import subprocess
import sys
import types

import bad_server as bad
import pytest

from animerun_addon import cli

CONTENT = bad.torch_file(50_000)
MODEL = """
name = "mine"
title = "Mine"
task = "flow"
[network]
class = "raft.Raft"
[licence]
name = "Studio"
note = "not to be passed on"
[[weights]]
name = "first"
file = "first.pth"
format = "torch"
url = "{url}/first.pth"
sha256 = "{sha256}"
[[weights]]
name = "second"
file = "second.pth"
format = "torch"
page = "https://studio.example/weights"
"""


@pytest.fixture
def server():
    with bad.serving(CONTENT) as running:
        yield running


@pytest.fixture
def folder(tmp_path, server, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # Another test may have brought Blender into this process.
    monkeypatch.delitem(sys.modules, "bpy", raising=False)
    (tmp_path / "models").mkdir()
    text = MODEL.format(url=server.url, sha256=hashlib.sha256(CONTENT).hexdigest())
    (tmp_path / "models" / "mine.toml").write_text(text)
    return tmp_path


@pytest.fixture
def run(folder, capfd):
    """Runs a command; the code and the answer."""

    def weights(*words, code=0):
        assert cli.main(["weights", *words, "--folder", str(folder), "--json"]) == code
        return json.loads(capfd.readouterr().out)

    return weights


def test_list_has_all_models_and_what_is_to_be_had_how(run, folder):
    answer = run("list")
    assert answer["folder"] == str(folder / "weights")
    assert {"classical", "raft", "mine"} <= set(answer["models"])
    mine = answer["models"]["mine"]
    assert (mine["task"], mine["licence"], mine["licence_accepted"]) == ("flow", "Studio", False)
    assert {name: each["state"] for name, each in mine["weights"].items()} == {"first": "to get", "second": "by hand"}
    assert list(run("list", "mine")["models"]) == ["mine"]


def test_list_for_people_is_one_line_a_model(folder, capfd):
    (folder / "models" / "bad.toml").write_text("name = ")
    assert cli.main(["weights", "list", "--folder", str(folder)]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert "  mine: Mine, flow, Studio; weights: first (to get), second (by hand)" in lines
    assert "  classical: Classical (DIS), flow, Apache-2.0; weights: none needed" in lines
    assert any(line.startswith(f"  '{folder / 'models' / 'bad.toml'}' is not TOML") for line in lines)


def test_get_wants_the_licence_accepted_once(run, folder, server):
    refused = run("get", "mine", code=2)["error"]
    assert "under Studio: not to be passed on. Read that; if you agree: animerun weights get mine/first" in refused
    assert server.asked == []
    answer = run("get", "mine", "--accept-licence")
    assert answer["files"] == {"mine/first": str(folder / "weights" / "mine" / "first.pth")}
    assert (folder / "weights" / "mine" / "first.pth").read_bytes() == CONTENT
    (folder / "weights" / "mine" / "first.pth").unlink()
    run("get", "mine/first")
    assert run("list", "mine")["models"]["mine"]["weights"]["first"]["state"] == "here"


def test_get_what_is_only_to_be_had_by_hand_says_from_where(run):
    refused = run("get", "mine/second", code=2)["error"]
    assert "fetch 'second.pth' from https://studio.example/weights in a browser" in refused


def test_import_takes_a_file_and_verify_finds_it_good(run, tmp_path):
    file = tmp_path / "my download.pth"
    file.write_bytes(CONTENT)
    assert run("verify") == {"files": {}}
    for name in ("mine/first", "mine/second"):
        run("import", name, str(file))
    assert run("verify") == {
        "files": {
            "mine/first": "is the official file",
            "mine/second": "unchanged since it came; no official fingerprint is known",
        }
    }
    run("import", "mine/second", str(file), "--link")
    assert (tmp_path / "weights" / "mine" / "second.pth").is_symlink()


def test_verify_answers_no_when_a_file_is_damaged_or_missing(run, tmp_path):
    assert run("verify", "mine", code=1)["files"]["mine/first"] == "missing"
    file = tmp_path / "weights" / "mine" / "first.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT[:-1] + b"x")
    assert run("verify", code=1)["files"]["mine/first"].startswith("wrong: its sha256 is ")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["get"], "Say which weights, such as gma/sintel"),
        (["get", "grm"], "did you mean 'gma'?"),
        (["get", "classical"], "has no weights and needs none"),
        (["import", "mine"], "Say which weights and which file"),
        (["import", "mine", "nowhere.pth"], "There is no file"),
        (["delete"], "invalid choice: 'delete'"),
        (["list", "mine/first"], "no models 'mine/first'"),
    ],
)
def test_mistakes_are_told(run, words, answer):
    assert answer in run(*words, code=2)["error"]


@pytest.mark.parametrize("online", [False, True])
def test_blenders_word_on_going_online_is_heeded(run, server, monkeypatch, online):
    monkeypatch.setitem(sys.modules, "bpy", types.SimpleNamespace(app=types.SimpleNamespace(online_access=online)))
    answer = run("get", "mine", "--accept-licence", code=0 if online else 2)
    assert ("blender --online-mode" in answer.get("error", "")) is not online
    assert bool(server.asked) is online


def test_a_supervising_blender_reads_the_progress(folder, tmp_path):
    report = tmp_path / "report"
    words = ["get", "mine", "--accept-licence", "--folder", str(folder), "--report-to", str(report)]
    child = subprocess.Popen([sys.executable, "-m", "animerun_addon", "weights", *words], stdin=subprocess.PIPE)
    child.wait(timeout=30)  # its stdin stays open: somebody watches
    child.stdin.close()
    messages = [json.loads(line) for line in report.read_text().splitlines()]
    assert any("first.pth" in message.get("message", "") for message in messages)
    assert messages[-1]["result"]["files"]
