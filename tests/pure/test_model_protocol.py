# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages and arrays between the model process and its client: all of them survive, and nothing else gets through."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from animerun_addon.errors import InputError, OutputError
from animerun_addon.model_bridge import protocol
from animerun_addon.model_bridge.protocol import (
    Alive,
    Cancel,
    End,
    Failure,
    Hello,
    Leaving,
    ProtocolError,
    Request,
    Result,
    check_array,
    map_arrays,
    read_arrays,
    store_arrays,
    take_message,
    to_bytes,
)

PLENTY = 1 << 30
MESSAGES = [
    Request(3, "flow", {"both": True, "iterations": None, "list": [1.5, "ä"]}, {"a": {"dtype": "<f4"}}),
    Cancel(3),
    End(),
    Hello(77, "3.14.0"),
    Alive(),
    Result(3, {"device": "cpu"}, {}),
    Failure(3, "InputError", "a 'frame' is upside down", "line 1\nline 2"),
    Leaving(),
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
dtypes = st.sampled_from(["<f4", ">f4", "f8", "f2", "u1", "i2", ">i8", "?"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("arrays")


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_arrives_as_it_was_sent(message):
    heard = bytearray(to_bytes(message) * 2)
    assert [take_message(heard) for _ in range(3)] == [message, message, None]


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_options_arrive_as_they_were_sent(options):
    assert take_message(bytearray(to_bytes(Request(1, "task", options, {})))).options == options


@given(st.binary(max_size=60), st.booleans())
def test_bytes_that_are_no_message_are_refused(noise, framed):
    data = protocol._HEAD.pack(protocol.MAGIC, protocol.VERSION, len(noise)) + noise if framed else noise
    try:
        assert take_message(bytearray(data)) is None
    except ProtocolError:
        return
    assert len(data) < protocol._HEAD.size, "only of what is too short there may come more"


@given(st.sampled_from(MESSAGES), st.data())
def test_a_message_may_arrive_in_pieces(message, data):
    whole = to_bytes(message)
    count = data.draw(st.integers(0, len(whole) - 1))
    heard = bytearray(whole[:count])
    assert take_message(heard) is None
    heard += whole[count:]
    assert take_message(heard) == message


def test_another_version_is_named():
    frame = bytearray(to_bytes(Alive()))
    frame[4] += 1
    with pytest.raises(ProtocolError, match="version 2 and not 1: the add-on was updated, restart Blender"):
        take_message(frame)


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), np.zeros(2), math.inf.__class__])
def test_what_json_cannot_say_is_a_mistake_of_the_caller(value):
    with pytest.raises(InputError, match="plain numbers, texts and lists"):
        to_bytes(Request(1, "task", {"value": value}, {}))


def test_long_options_belong_into_arrays():
    with pytest.raises(InputError, match="give them as arrays"):
        to_bytes(Request(1, "task", {"value": "x" * protocol.MOST_BYTES}, {}))


@given(arrays_of.arrays(dtypes, arrays_of.array_shapes(min_dims=0, min_side=0)), st.booleans())
def test_arrays_survive_whatever_their_kind_and_layout(folder, array, transposed):
    array = array.T if transposed else array
    described = store_arrays({"a": array}, folder, "in")
    for read in (map_arrays(described, folder), read_arrays(described, folder, PLENTY)):
        assert read["a"].shape == array.shape
        assert read["a"].dtype == array.dtype.newbyteorder("<")
        np.testing.assert_array_equal(read["a"], array)


def test_writing_to_a_mapped_array_changes_no_file(tmp_path):
    described = store_arrays({"a": np.zeros(5)}, tmp_path, "in")
    map_arrays(described, tmp_path)["a"][:] = 1
    assert not map_arrays(described, tmp_path)["a"].any()


def test_read_arrays_need_their_files_no_more(tmp_path):
    array = read_arrays(store_arrays({"a": np.arange(5)}, tmp_path, "in"), tmp_path, PLENTY)["a"]
    (tmp_path / "in0").write_bytes(b"")
    assert array.tolist() == [0, 1, 2, 3, 4]


DESCRIBED = {"dtype": "<f4", "shape": [2, 3], "file": "a"}


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "|O"},
        {"dtype": "V4"},
        {"dtype": "f4,f4"},
        {"dtype": "nonsense"},
        {"dtype": 4},
        {"shape": [6, 1, 2]},
        {"shape": [-2, -3]},
        {"shape": [2.0, 3]},
        {"shape": [True, 6]},
        {"shape": [1 << 70, 1 << 70]},
        {"shape": 6},
        {"file": "missing"},
        {"file": "../a"},
        {"file": "."},
        {"file": ""},
        {"file": "folder/a"},
        {"file": "link"},
        {"file": "zero\0"},
        {"more": 1},
    ],
    ids=str,
)
def test_a_description_that_does_not_fit_its_file_is_refused(tmp_path, change):
    (tmp_path / "a").write_bytes(bytes(24))
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert map_arrays({"a": DESCRIBED}, tmp_path)["a"].shape == (2, 3)
    with pytest.raises(ProtocolError):
        map_arrays({"a": {**DESCRIBED, **change}}, tmp_path)


def test_large_arrays_are_refused_before_anything_is_copied():
    huge = np.broadcast_to(np.uint8(0), (1 << 20, 1 << 20))
    with pytest.raises(InputError, match=r"Array 'first' is too large \(1048576 MiB, at most 1024\)"):
        check_array("first", huge, PLENTY)


def test_only_numbers_travel():
    with pytest.raises(InputError, match=r"Array 'names' has .* in it"):
        check_array("names", np.array(["a"]), PLENTY)


def test_a_full_disk_is_an_error_and_no_crash(tmp_path, monkeypatch):
    monkeypatch.setattr(protocol.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(OutputError, match="free some space, or set TMPDIR"):
        store_arrays({"a": np.zeros(5)}, tmp_path, "in")


def test_a_folder_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="Cannot write"):
        store_arrays({"a": np.zeros(5)}, Path(tmp_path / "gone"), "in")
