# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog of models: what we say of ours, what users may say of theirs, and errors that help them say it."""

import importlib
import json
import math
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animerun_addon.errors import InputError
from animerun_addon.model_bridge import catalog as catalog_module
from animerun_addon.model_bridge.catalog import OURS, read_catalog
from animerun_addon.model_bridge.model_entry import (
    Channels,
    Classical,
    DigestKind,
    Format,
    Host,
    Kind,
    Model,
    Network,
    Port,
    Program,
    Task,
)
from animerun_addon.model_bridge.model_file import read_model

GOLDEN = Path(__file__).parents[1] / "golden"
CATALOG = read_catalog()


# Ours -----------------------------------------------------------------------------------------------------------------


def test_all_networks_of_the_papers_table_are_there():
    assert {model.name for model in CATALOG.models} == {
        "raft", "raft-small", "gma", "gmflow", "gmflow-refine", "pwcnet", "searaft-m", "searaft-s", "classical",
    }  # fmt: skip
    assert all(path.stem == read_model(path).name for path in OURS.glob("*.toml"))


@pytest.mark.parametrize("model", CATALOG.models, ids=lambda model: model.name)
def test_each_says_what_users_need_to_know(model):
    assert model.about
    assert model.citation
    assert model.licence.url.startswith("https://")
    assert [port.name for port in model.inputs] == ["first", "second"]
    assert [port.name for port in model.outputs] == ["forward", "backward"]
    for weights in model.weights:
        assert weights.about
        assert weights.page.startswith("https://")
        assert weights.host is Host.HAND or weights.digest is not None, "a download that nothing would check"
        assert weights.address.startswith("https://") or weights.host is not Host.URL


def test_only_the_classical_one_has_no_weights():
    assert [model.name for model in CATALOG.models if not model.weights] == ["classical"]
    with pytest.raises(InputError, match="'classical' has no weights and needs none"):
        CATALOG.weights("classical")


@pytest.mark.parametrize(
    ("words", "git_blob"),
    [
        ("gma/chairs", "baf6922de3a78470e9b92b2949d0a3c732319936"),
        ("gma/things", "15e0e0a9eb2771c9ee6a3fe2093b27ead7ddd0d0"),
        ("gma/sintel", "4a18602892b78de4c991ddb264262d5e38bdbd66"),
        ("gma/kitti", "dc923ce096921dfb8411777d9df6420257c7fc77"),
        ("pwcnet/sintel", "27da4cc96929c0474f8083364712df3a1c50c52e"),
    ],
)
def test_files_in_the_authors_repositories_are_known_by_gits_own_name_for_them(words, git_blob):
    _, weights = CATALOG.weights(words)
    assert (weights.digest.kind, weights.digest.value) == (DigestKind.GIT_BLOB, git_blob)
    assert weights.address.endswith(f"/{weights.file}")


NETWORKS = {
    "raft": "raft", "raft-small": "raft_small", "gma": "gma", "gmflow": "gmflow", "gmflow-refine": "gmflow_refine",
    "pwcnet": "pwcnet", "searaft-m": "searaft", "searaft-s": "searaft_small",
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_the_class_that_is_named_is_the_published_network(name):
    pytest.importorskip("torch")
    from animerun_addon.model_bridge.networks.flow import FlowNetwork

    model = CATALOG.model(name)
    file, kind = model.runs.name.split(".")
    network = getattr(importlib.import_module(f"animerun_addon.model_bridge.networks.{file}"), kind)
    assert issubclass(network, FlowNetwork)
    made = network(**model.runs.arguments)
    tensors = json.loads((GOLDEN / f"{NETWORKS[name]}.json").read_text())["tensors"]
    assert {each["name"] for each in tensors} == set(made.state_dict())
    assert model.hardware.parameters == sum(parameter.numel() for parameter in made.parameters())


def test_reading_it_takes_neither_torch_nor_requests():
    program = (
        "import sys; sys.modules.update(bpy=None, torch=None, requests=None)\n"
        "from animerun_addon.model_bridge.catalog import read_catalog\n"
        "from animerun_addon.model_bridge.weights import Cache\n"
        "model, weights = read_catalog().weights('gma'); print(Cache().path(model, weights).name)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "gma-things.pth\n"


def test_models_and_weights_are_found_by_name_and_the_first_weights_without():
    model, weights = CATALOG.weights("gma/sintel")
    assert (model.name, weights.name) == ("gma", "sintel")
    assert CATALOG.weights("gma")[1] is CATALOG.model("gma").weights[0]
    assert len(CATALOG.for_task(Task.FLOW)) == len(CATALOG.models)
    for words, answer in {
        "gam": r"no models 'gam': did you mean 'gma'\?",
        "gma/sintle": r"no weights of 'gma' 'sintle': did you mean 'sintel'\?",
        "super-slomo": "there are classical, gma, ",
        "gma/": "no weights of 'gma' ''",
        "": "no models ''",
    }.items():
        with pytest.raises(InputError, match=answer):
            CATALOG.weights(words)


# Users' own -----------------------------------------------------------------------------------------------------------

OWN_NETWORK = """
name = "our-raft"
title = "RAFT, trained on our films"
task = "flow"
[network]
class = "raft.Raft"
[licence]
name = "ours"
[[weights]]
name = "third"
file = "third.pth"
format = "torch"
path = "checkpoints/third.pth"
"""

OWN_PROGRAM = """
name = "super-slomo"
title = "Super SloMo"
task = "interpolation"
[program]
side_step = 32
least_side = 64
[[inputs]]
name = "second"
range = [0, 1]
[[inputs]]
name = "first"
channels = "BGR"
range = [-1.0, 1.0]
[[inputs]]
name = "time"
[[outputs]]
name = "middle"
range = [0.0, 1.0]
[[outputs]]
name = "forward"
pixels = 20
[[outputs]]
name = "visible"
[licence]
name = "MIT"
url = "https://studio.example/licence"
note = "in the house only"
[hardware]
gpu = "required"
parameters = 39000000
memory_mb = 3000
[[weights]]
name = "v1"
file = "slomo.pt"
format = "torchscript"
drive = "1M1LEpx70tJ72AIV2TQKr6NE_7mJ7tLYx"
size = 158000000
sha256 = "DCBB9E9D00000000000000000000000000000000000000000000000000000000"
[[weights]]
name = "v2"
file = "slomo2.pt"
format = "torchscript"
dropbox = "s/oc8juclx1775qib/slomo2.pt"
sha256_prefix = "dcbb9e9d"
"""


@pytest.fixture
def own(tmp_path):
    """Writes a file into the user's folder and reads the catalog."""

    def write(text, name="mine.toml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return read_catalog(tmp_path)

    return write


def test_a_network_of_ours_with_their_checkpoint(own, tmp_path):
    model, weights = own(OWN_NETWORK).weights("our-raft")
    assert model.runs == Network("raft.Raft")
    assert (weights.host, weights.address) == (Host.PATH, str(tmp_path / "checkpoints" / "third.pth"))
    assert model.inputs == (Port("first", Kind.FRAME), Port("second", Kind.FRAME))


def test_a_program_with_a_declared_signature(own):
    model = own(OWN_PROGRAM).model("super-slomo")
    assert model.runs == Program(side_step=32, least_side=64)
    assert model.inputs == (
        Port("second", Kind.FRAME, black=0.0, white=1.0),
        Port("first", Kind.FRAME, Channels.BGR, -1.0, 1.0),
        Port("time", Kind.TIME),
    )
    assert model.outputs == (
        Port("middle", Kind.FRAME, black=0.0, white=1.0),
        Port("forward", Kind.FLOW, pixels=20.0),
        Port("visible", Kind.MAP),
    )
    first, second = model.weights
    assert (first.host, first.format, first.size) == (Host.DRIVE, Format.TORCHSCRIPT, 158_000_000)
    assert first.digest.value.startswith("dcbb9e9d0")
    assert (second.host, second.digest.kind) == (Host.DROPBOX, DigestKind.SHA256_PREFIX)
    assert (model.hardware.memory_mb, str(model.licence)) == (
        3000, "MIT (https://studio.example/licence): in the house only",
    )  # fmt: skip


def test_the_examples_of_the_documentation_can_be_used(own):
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 2
    for number, example in enumerate(examples):
        assert own(example, f"{number}.toml").problems == ()
    for model in CATALOG.models:
        assert f"`{model.name}`" in text


def test_a_torch_export_file_has_to_be_trusted_and_known(own):
    """Loading one runs what is in it."""
    trusted = OWN_PROGRAM.replace("[program]", "[program]\ntrusted = true").replace('"torchscript"', '"torch.export"')
    assert own(trusted).problems[0].split(": ", 1)[1].startswith("weights[1].sha256 is missing")
    known = own(trusted.replace("sha256_prefix", "# ").replace("dropbox =", "path ="))
    assert known.model("super-slomo").runs.is_trusted


def test_one_bad_file_keeps_nobody_from_the_others(own, tmp_path):
    own("name = 'half", "bad.toml")
    own("not a model", "notes.txt")
    own("name = 'half", ".hidden.toml")
    found = own(OWN_NETWORK)
    assert found.model("our-raft")
    assert len(found.problems) == 1
    assert str(tmp_path / "bad.toml") in found.problems[0]
    with pytest.raises(InputError, match=r"no models 'half': .*Not read: .*bad\.toml"):
        found.model("half")


def test_names_are_taken_once(own):
    assert own(OWN_NETWORK.replace("our-raft", "raft")).problems[0].endswith("raft.toml': choose another")
    own(OWN_NETWORK)
    assert "mine.toml': name is 'our-raft', as in" in own(OWN_NETWORK, "copy.toml").problems[0]
    assert read_catalog(Path("nowhere")).problems == ()


def test_a_network_that_is_none_of_ours_is_refused(own):
    for name in ("raft.Rafd", "flow.FlowModel", "os.system", "../raft.Raft"):
        assert "network.class is" in own(OWN_NETWORK.replace("raft.Raft", name)).problems[0]


NEEDED = "is missing: add it"
DIGITS = "hexadecimal digits"


@pytest.mark.parametrize(
    ("text", "old", "new", "words"),
    [
        (OWN_NETWORK, 'name = "our-raft"\n', "", f"': name {NEEDED}"),
        (OWN_NETWORK, '"our-raft"', '"Our Raft"', "name is 'Our Raft': use up to 64 small letters"),
        (OWN_NETWORK, '"our-raft"', '"../raft"', "name is '../raft': use"),
        (OWN_NETWORK, '"our-raft"', '"con"', "name is 'con': use"),
        (OWN_NETWORK, '"our-raft"', "7", "name has to be text in quotes"),
        (OWN_NETWORK, '"RAFT, trained on our films"', '" "', "title is empty: fill it in"),
        (OWN_NETWORK, '"flow"', '"flows"', "task is 'flows': did you mean 'flow'?"),
        (OWN_NETWORK, "task =", "tusk =", f"task {NEEDED}"),
        (OWN_NETWORK, 'task = "flow"', 'task = "flow"\nlicense = "x"', "license is no key of ours: did you mean 'lic"),
        (OWN_NETWORK, "[network]", "[networks]", "network or program or classical has to be there, one"),
        (OWN_NETWORK, "[network]", "[program]\n[network]", "not network and program"),
        (OWN_NETWORK, '"raft.Raft"', '"raft.Rafd"', "network.class is 'raft.Rafd', which is no network of"),
        (OWN_NETWORK, "class =", "klass = 1\nclass =", "network.klass is no key of ours: did you mean 'class'?"),
        (OWN_NETWORK, '[licence]\nname = "ours"\n', "", f"licence {NEEDED}"),
        (OWN_NETWORK, '[licence]\nname = "ours"\n', 'licence = "ours"\n', "network.licence is no key of ours"),
        (OWN_NETWORK, 'name = "third"', 'name = "3/4"', "weights[0].name is '3/4': use"),
        (OWN_NETWORK, '"third.pth"', '"../third.pth"', "weights[0].file is '../third.pth': use a plain file name"),
        (OWN_NETWORK, '"third.pth"', '"nul.pth"', "weights[0].file is 'nul.pth': use"),
        (OWN_NETWORK, '"third.pth"', '"third."', "weights[0].file is 'third.': use"),
        (OWN_NETWORK, '"torch"', '"torchscript"', "weights[0].format is 'torchscript', of which this"),
        (OWN_NETWORK, '"torch"', '"safetensors"', "weights[0].file is 'third.pth': let it end in .safetensors"),
        (OWN_NETWORK, 'path = "checkpoints/third.pth"', "", "weights[0].url is missing: give url, drive,"),
        (OWN_NETWORK, 'path = "ch', 'url = "https://a.b/c"\npath = "ch', "weights[0].url and path are both there"),
        (OWN_NETWORK, "path =", "url =", "weights[0].url is 'checkpoints/third.pth': give a whole web address"),
        (OWN_NETWORK, "path =", "drive =", "weights[0].drive is 'checkpoints/third.pth': give the file's id"),
        (OWN_NETWORK, "path =", "dropbox =", "weights[0].dropbox is 'checkpoints/third.pth': give what fol"),
        (OWN_NETWORK, "path =", 'page = "www.a.b"\npath =', "weights[0].page is 'www.a.b': give a whole web address"),
        (OWN_NETWORK, "path =", 'git_blob = "abc"\npath =', "weights[0].git_blob is 'abc', 3 characters: give its 40"),
        (OWN_NETWORK, "path =", f'sha256 = "{"g" * 64}"\npath =', DIGITS),
        (OWN_NETWORK, "path =", 'sha256_prefix = "abc"\npath =', "give its 8 to 63 hexadecimal digits"),
        (OWN_NETWORK, "path =", "size = 0\npath =", "weights[0].size is 0: give 1 or more"),
        (OWN_NETWORK, "path =", "scale = -0.5\npath =", "weights[0].scale is -0.5: give the share of the frames' size"),
        (OWN_NETWORK, "path =", "size = true\npath =", "weights[0].size has to be a whole number"),
        (OWN_NETWORK, "path =", "size = 1.5\npath =", "weights[0].size has to be a whole number"),
        (OWN_NETWORK, "[[weights]]", "[weights]", "weights has to be tables: write [[weights]]"),
        (OWN_NETWORK, OWN_NETWORK[OWN_NETWORK.index("[[w") :], "", "weights are missing: add [[weights]]"),
        (OWN_NETWORK, "[network]\nclass", "[classical]\nmethod", "classical.method is 'raft.Raft': there are dis"),
        (OWN_NETWORK, '[network]\nclass = "raft.Raft"', '[classical]\nmethod = "dis"', "weights are of no use to a"),
        (OWN_PROGRAM, 'name = "time"', 'name = "times"', "inputs[2].name is 'times': did you mean 'time'?"),
        (OWN_PROGRAM, 'name = "time"', 'name = "first"', "inputs[2].name is 'first', as another one's: choose"),
        (OWN_PROGRAM, 'name = "middle"', 'name = "centre"', "outputs[0].range is no key of ours"),
        (OWN_PROGRAM, 'name = "middle"\nrange = [0.0, 1.0]', 'name = "centre"', "outputs has no frame called 'middle'"),
        (OWN_PROGRAM, '"interpolation"', '"flow"', "inputs[2].name is 'time'"),
        (OWN_PROGRAM, '"BGR"', '"BGRA"', "inputs[1].channels is 'BGRA': did you mean 'BGR'?"),
        (OWN_PROGRAM, "[0, 1]", "[0]", "inputs[0].range has to be two different numbers"),
        (OWN_PROGRAM, "[0, 1]", "[1, 1]", "inputs[0].range has to be two different numbers"),
        (OWN_PROGRAM, "[0, 1]", "[nan, 1]", "inputs[0].range has to be two different numbers"),
        (OWN_PROGRAM, "[0, 1]", '"0 to 1"', "inputs[0].range has to be two numbers, such as [0.0, 1.0]"),
        (OWN_PROGRAM, "pixels = 20", "pixels = 0", "outputs[1].pixels is 0.0: give a number that is not 0"),
        (OWN_PROGRAM, "pixels = 20", "pixels = inf", "outputs[1].pixels is inf"),
        (OWN_PROGRAM, "side_step = 32", "side_step = -1", "program.side_step is -1: give 1 or more"),
        (OWN_PROGRAM, '"torchscript"', '"torch.export"', "weights[0].format is 'torch.export', and"),
        (OWN_PROGRAM, "side_step = 32", 'trusted = "yes"', "program.trusted has to be true or false"),
        (OWN_PROGRAM, '"required"', '"maybe"', "hardware.gpu is 'maybe': there are recommended, required, unused"),
        (OWN_PROGRAM, '"slomo2.pt"', '"Slomo.pt"', "weights[1].file is 'Slomo.pt', as another one's"),
        (OWN_PROGRAM, '"v2"', '"v1"', "weights[1].name is 'v1', as another one's: choose different ones"),
        (OWN_PROGRAM, 'format = "torchscript"', 'format = "torch"', "weights[0].format is 'torch', of which"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_file_key_and_remedy(own, tmp_path, text, old, new, words):
    assert old in text
    problems = own(text.replace(old, new, 1)).problems
    assert len(problems) == 1
    assert problems[0].startswith(f"'{tmp_path / 'mine.toml'}': ")
    assert words in problems[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'name = "a', r"is not TOML \(.*string.*\): mend it there"),
        (b"name = 1\nname = 2\n", r"is not TOML \(.*line 2"),
        (b"name = \xff\n", "is not in UTF-8: save it as such"),
        (b"a = " + b"[" * 100_000, "is not TOML"),
        (b"a = 2020-13-45", "is not TOML"),
        (b"a = " + b"9" * 10_000, "is not TOML"),
        (b"#" * (1 << 21), "is larger than any description of a model"),
        (b"", "task is missing"),
    ],
)
def test_files_that_are_no_toml_are_named(tmp_path, content, words):
    (tmp_path / "mine.toml").write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_model(tmp_path / "mine.toml")
    assert str(tmp_path / "mine.toml") in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InputError, match=r"folder\.toml' cannot be read"):
        read_model(tmp_path / "folder.toml")


# Damaged in any way ---------------------------------------------------------------------------------------------------

TEXTS = [*(path.read_text(encoding="utf-8") for path in sorted(OURS.glob("*.toml"))), OWN_NETWORK, OWN_PROGRAM]
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def complaint_or_model(path):
    try:
        return None, read_model(path)
    except InputError as error:
        return str(error), None


def model_or_complaint(path):
    """A usable model or an error that names the file: nothing else may come of it."""
    complaint, model = complaint_or_model(path)
    if complaint is not None:
        assert str(path) in complaint
        assert "\n" not in complaint
        return
    assert isinstance(model, Model)
    for weights in model.weights:
        assert Path(weights.file).name == weights.file
        assert weights.size is None or weights.size > 0
    for port in model.inputs:
        assert math.isfinite(port.white - port.black)
    assert isinstance(model.runs, Classical) or model.weights


@given(text=st.sampled_from(TEXTS), start=st.floats(0, 1), length=st.integers(0, 40), new=st.text(max_size=20))
def test_damaged_files_are_read_or_refused(tmp_path_factory, text, start, length, new):
    path = tmp_path_factory.getbasetemp() / "damaged.toml"
    place = int(start * len(text))
    path.write_bytes((text[:place] + new + text[place + length :]).encode("utf-8", "surrogatepass"))
    model_or_complaint(path)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.toml"
    path.write_bytes(content)
    model_or_complaint(path)


@given(text=st.sampled_from(TEXTS), data=st.data())
def test_any_value_in_place_of_another_is_read_or_refused(monkeypatch_module, text, data):
    content = tomllib.loads(text)
    table = content
    while True:
        key = data.draw(st.sampled_from(sorted(table) if isinstance(table, dict) else range(len(table))))
        if not isinstance(table[key], dict | list) or not table[key] or data.draw(st.booleans()):
            break
        table = table[key]
    table[key] = data.draw(VALUES)
    monkeypatch_module(content)
    model_or_complaint(Path("changed.toml"))


@pytest.fixture(scope="module")
def monkeypatch_module():
    """Lets read_model find given content in any file."""
    module = importlib.import_module("animerun_addon.model_bridge.model_file")
    with pytest.MonkeyPatch.context() as patch:
        yield lambda content: patch.setattr(module, "_read", lambda _: content)


def test_the_package_carries_the_entries():
    """Both as an extension and as an installed package."""
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    patterns = pyproject["tool"]["setuptools"]["package-data"]["animerun_addon"]
    package = Path(catalog_module.__file__).parents[1]
    carried = {path for pattern in patterns for path in package.glob(pattern)}
    assert set(OURS.glob("*.toml")) <= carried
