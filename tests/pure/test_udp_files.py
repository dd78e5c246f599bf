# SPDX-License-Identifier: GPL-3.0-or-later
"""UDP files: what other readers see in them, CoNR's own loader first, round trips, damage, and sequences."""

import json
import re
import struct
import zlib
from dataclasses import replace

import cv2
import numpy as np
import OpenEXR
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from animerun_addon.dataset import formats, udp
from animerun_addon.dataset.formats import FormatError
from animerun_addon.dataset.udp import UdpFormat, UdpInfo, read_info, read_udp, write_info, write_udp
from animerun_addon.dataset.udp_sequence import UdpSequence
from animerun_addon.errors import InputError, OutputError
from animerun_addon.labels.udp_encoding import Preset, UdpEncoding

# The folder of a test is the same for all examples: each writes its file anew.
OFTEN = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EACH = pytest.mark.parametrize("kind", UdpFormat)
HALF_STEP = {UdpFormat.NPZ: 0, UdpFormat.EXR: 0, UdpFormat.PNG16: 0.5 / 65535, UdpFormat.PNG8: 0.5 / 255}
ROUNDED = 1e-7  # of the float32 that a step is read as


def some_udp(height=18, width=5, seed=0):
    """Higher than a block of EXR lines; every channel unlike the others."""
    random = np.random.default_rng(seed)
    picture = random.random((height, width, 4)).astype(np.float32) * np.float32((1, 0.5, 0.25, 1))
    picture[..., 3] = random.random((height, width)) < 0.6
    return picture * picture[..., 3:]


@st.composite
def udp_pictures(draw):
    shape = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    colours = draw(arrays.arrays(np.float32, (*shape, 3), elements=st.floats(0, 1, width=32)))
    alpha = draw(arrays.arrays(np.bool_, (*shape, 1)))
    return np.concatenate((colours * alpha, alpha), axis=2, dtype=np.float32)


def written(folder, kind, picture=None):
    path = folder / f"0001{kind.suffix}"
    write_udp(path, some_udp() if picture is None else picture, kind)
    return path


# ---------------------------------------------------------------- round trips


@EACH
@given(picture=udp_pictures())
@settings(OFTEN, max_examples=40)
def test_round_trip_is_exact_or_within_half_a_step(kind, tmp_path, picture):
    back = read_udp(written(tmp_path, kind, picture))
    assert back.dtype == np.float32
    assert back.shape == picture.shape
    assert np.abs(back.astype(np.float64) - picture).max() <= HALF_STEP[kind] + (ROUNDED if HALF_STEP[kind] else 0)
    assert np.array_equal(back[..., 3], picture[..., 3])
    assert not back[back[..., 3] == 0].any()


@EACH
def test_what_was_read_is_written_as_the_same_bytes(kind, tmp_path):
    path = written(tmp_path, kind)
    data = path.read_bytes()
    write_udp(path, read_udp(path), kind)
    assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("kind", "dtype"), [(UdpFormat.PNG16, np.uint16), (UdpFormat.PNG8, np.uint8)])
def test_every_step_of_a_png_is_kept(kind, dtype, tmp_path):
    most = np.iinfo(dtype).max
    steps = np.arange(most + 1).reshape(-1, 16)
    picture = np.stack((steps, steps[::-1], steps, np.full_like(steps, most)), axis=-1).astype(dtype)
    formats.write_png(tmp_path / "a.png", picture)
    write_udp(tmp_path / "b.png", read_udp(tmp_path / "a.png"), kind)
    assert np.array_equal(formats.read_png(tmp_path / "b.png"), picture)


# ---------------------------------------------------------------- other readers


def load_as_conr_does(path, decode):
    """FACTS about its file handling: an array `i` from .npz, else a picture that has to be float32 with 4 channels."""
    if ".npz" in str(path):
        return np.load(path)["i"].astype(np.float32)
    picture = decode(path)
    assert picture.dtype == np.float32
    assert picture.shape[2] == 4
    return picture


def opencv_unchanged(path):
    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)


def exr_by_hand(path):
    """(names in the file's order, pixel types, (H, W, C)) of a scanline EXR file with ZIP compression."""
    data = path.read_bytes()
    assert data[:8] == b"\x76\x2f\x31\x01\x02\0\0\0"
    at, attributes = 8, {}
    while data[at]:
        name, kind, _ = data[at:].split(b"\0", 2)
        at += len(name) + len(kind) + 2
        (size,) = struct.unpack_from("<I", data, at)
        attributes[name] = data[at + 4 : at + 4 + size]
        at += 4 + size
    left, top, right, bottom = struct.unpack("<4i", attributes[b"dataWindow"])
    height, width = bottom - top + 1, right - left + 1
    assert attributes[b"compression"] == b"\x03"
    channels = attributes[b"channels"][:-1]
    names, kinds = [], []
    while channels:
        name, channels = channels.split(b"\0", 1)
        names.append(name.decode())
        kinds.append(struct.unpack_from("<i", channels)[0])
        channels = channels[16:]
    lines = []
    for (block,) in struct.iter_unpack("<Q", data[at + 1 : at + 1 + 8 * -(-height // 16)]):
        first, size = struct.unpack_from("<iI", data, block)
        rows = min(16, height - (first - top))
        raw = data[block + 8 : block + 8 + size]
        if size < rows * width * 4 * len(names):
            raw = undone(zlib.decompress(raw))
        lines.append(np.frombuffer(raw, "<f4").reshape(rows, len(names), width).transpose(0, 2, 1))
    return names, kinds, np.concatenate(lines)


def undone(packed):
    """EXR's ZIP: differences from the byte before, even bytes first and then the odd ones."""
    numbers = (np.cumsum(np.frombuffer(packed, np.uint8).astype(np.int64)) - 128 * np.arange(len(packed))) % 256
    result = np.empty(len(packed), dtype=np.uint8)
    result[0::2], result[1::2] = np.split(numbers, [-(-len(packed) // 2)])
    return result.tobytes()


def test_conrs_loader_reads_npz_exactly(tmp_path):
    assert np.array_equal(load_as_conr_does(written(tmp_path, UdpFormat.NPZ), opencv_unchanged), some_udp())


def test_conrs_loader_reads_exr_exactly(tmp_path):
    def decode(path):
        # A reader of colours takes B, G, R, A from the file by name, and the loader then swaps red and blue.
        names, _, channels = exr_by_hand(path)
        blue_first = np.stack([channels[..., names.index(name)] for name in "BGRA"], axis=-1)
        return cv2.cvtColor(blue_first, cv2.COLOR_BGRA2RGBA)

    assert np.array_equal(load_as_conr_does(written(tmp_path, UdpFormat.EXR), decode), some_udp())


@pytest.mark.parametrize("kind", [UdpFormat.PNG16, UdpFormat.PNG8])
def test_conrs_loader_refuses_png(kind, tmp_path):
    with pytest.raises(AssertionError):
        load_as_conr_does(written(tmp_path, kind), opencv_unchanged)


def test_the_companion_mask_that_conrs_loader_makes_is_the_character(tmp_path):
    """clip(udp * 255, 0, 255), truncated: alpha decides about the crop, so nothing may lie between 0 and 255."""
    picture = load_as_conr_does(written(tmp_path, UdpFormat.NPZ), opencv_unchanged)
    mask = np.clip(picture * 255, 0, 255).astype(np.uint8)[..., 3]
    assert np.array_equal(mask, np.where(some_udp()[..., 3] == 1, 255, 0))


def test_npz_holds_one_array_of_floats_and_nothing_else(tmp_path):
    with np.load(written(tmp_path, UdpFormat.NPZ)) as file:
        assert file.files == ["i"]
        assert file["i"].dtype == np.float32
        assert file["i"].shape == (18, 5, 4)


def test_exr_has_full_floats_named_r_g_b_a(tmp_path):
    path = written(tmp_path, UdpFormat.EXR)
    names, kinds, channels = exr_by_hand(path)
    assert names == ["A", "B", "G", "R"]
    assert kinds == [2, 2, 2, 2]  # FLOAT
    assert np.array_equal(channels[..., ::-1], some_udp())
    joined = OpenEXR.File(str(path)).channels()
    assert list(joined) == ["RGBA"]
    assert np.array_equal(joined["RGBA"].pixels, some_udp())


def png_chunks(data):
    at = 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


@pytest.mark.parametrize(("kind", "bits", "dtype"), [(UdpFormat.PNG16, 16, np.uint16), (UdpFormat.PNG8, 8, np.uint8)])
def test_png_has_raw_numbers_and_no_word_about_colour(kind, bits, dtype, tmp_path):
    path = written(tmp_path, kind)
    chunks = list(png_chunks(path.read_bytes()))
    assert {name for name, _ in chunks} == {b"IHDR", b"IDAT", b"IEND"}
    assert struct.unpack(">IIBBBBB", chunks[0][1]) == (5, 18, bits, 6, 0, 0, 0)
    expected = np.rint(some_udp().astype(np.float64) * np.iinfo(dtype).max)
    assert np.array_equal(opencv_unchanged(path), expected)


# ---------------------------------------------------------------- what is refused


def spoilt(at, numbers):
    picture = np.zeros((3, 3, 4), dtype=np.float32)
    picture[1:] = (0.25, 0.5, 1, 1)
    picture[at] = numbers
    return picture


NO_UDP = {
    "above 1": (spoilt((1, 1, 0), 1.001), "0 to 1"),
    "below 0": (spoilt((1, 1, 0), -0.001), "0 to 1"),
    "no number": (spoilt((1, 1, 0), np.nan), "0 to 1"),
    "infinite": (spoilt((1, 1, 0), np.inf), "0 to 1"),
    "half an alpha": (spoilt((1, 1, 3), 0.5), "alpha other"),
    "coloured background": (spoilt((0, 1, 2), 0.5), "alpha is 0"),
    "three channels": (np.zeros((2, 2, 3)), "4 channels"),
    "one row": (np.zeros((2, 4)), "4 channels"),
    "nothing": (np.zeros((0, 2, 4)), "4 channels"),
}


@EACH
@pytest.mark.parametrize(("picture", "wrong"), NO_UDP.values(), ids=NO_UDP)
def test_what_is_no_udp_is_not_written(kind, picture, wrong, tmp_path):
    with pytest.raises(FormatError, match=wrong):
        written(tmp_path, kind, picture)
    assert not list(tmp_path.iterdir())


def test_whole_numbers_are_no_udp(tmp_path):
    with pytest.raises(FormatError, match="floats"):
        written(tmp_path, UdpFormat.NPZ, np.ones((2, 2, 4), dtype=np.uint8))


@pytest.mark.parametrize(("picture", "wrong"), NO_UDP.values(), ids=NO_UDP)
def test_what_is_no_udp_is_not_read(picture, wrong, tmp_path):
    path = tmp_path / "a.npz"
    if picture.size:
        formats.write_npz(path, {"i": picture.astype(np.float32)})
    else:
        wrong = "shape"
        np.savez(path, i=picture)
    with pytest.raises(FormatError, match=wrong) as caught:
        read_udp(path)
    assert "a.npz" in str(caught.value)


def test_png_with_soft_edges_is_refused(tmp_path):
    formats.write_png(tmp_path / "a.png", np.full((2, 2, 4), 128, dtype=np.uint8))
    with pytest.raises(FormatError, match="anti-aliasing"):
        read_udp(tmp_path / "a.png")


def test_png_without_alpha_is_refused(tmp_path):
    formats.write_png(tmp_path / "a.png", np.zeros((2, 2, 3), dtype=np.uint8))
    with pytest.raises(FormatError, match="4 channels"):
        read_udp(tmp_path / "a.png")


@pytest.mark.parametrize("name", [b"gAMA", b"sRGB", b"iCCP", b"cHRM", b"cICP"])
def test_colour_managed_png_is_refused(name, tmp_path):
    contents = {
        b"gAMA": struct.pack(">I", 45455),
        b"sRGB": b"\0",
        b"iCCP": b"a\0\0" + zlib.compress(bytes(200)),
        b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
        b"cICP": b"\x01\x0d\0\x01",
    }
    path = written(tmp_path, UdpFormat.PNG8)
    data = path.read_bytes()
    body = name + contents[name]
    chunk = struct.pack(">I", len(contents[name])) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(data[:33] + chunk + data[33:])
    with pytest.raises(FormatError, match=f"colour-managed.*{name.decode()}"):
        read_udp(path)


def test_words_in_a_png_are_harmless(tmp_path):
    path = written(tmp_path, UdpFormat.PNG8)
    data, body = path.read_bytes(), b"tEXtSoftware\0any"
    path.write_bytes(
        data[:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + data[33:]
    )
    assert read_udp(path).shape == (18, 5, 4)


@pytest.mark.parametrize("channels", ["RGB", "RGBAZ", "XYZA"])
def test_exr_with_other_channels_is_refused(channels, tmp_path):
    formats.write_exr(tmp_path / "a.exr", dict.fromkeys(channels, np.ones((2, 2))))
    with pytest.raises(FormatError, match=r"channels A, |channels B, "):
        read_udp(tmp_path / "a.exr")


@pytest.mark.parametrize("arrays_in_it", [{"u": some_udp()}, {"i": np.ones((2, 2, 4), dtype=np.uint8)}])
def test_npz_without_floats_under_its_name_is_refused(arrays_in_it, tmp_path):
    formats.write_npz(tmp_path / "a.npz", arrays_in_it)
    with pytest.raises(FormatError, match="under the name 'i'"):
        read_udp(tmp_path / "a.npz")


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_npz_of_other_floats_is_read_as_conr_reads_it(dtype, tmp_path):
    numbers = some_udp().astype(dtype)
    np.savez(tmp_path / "a.npz", i=numbers)
    assert np.array_equal(read_udp(tmp_path / "a.npz"), numbers.astype(np.float32))


def test_other_kinds_of_files_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"\.npz, \.exr or \.png"):
        read_udp(tmp_path / "a.jpg")
    with pytest.raises(FormatError, match=r"end with \.npz"):
        write_udp(tmp_path / "a.png", some_udp(), UdpFormat.NPZ)


@EACH
def test_missing_files_and_folders_are_named(kind, tmp_path):
    with pytest.raises(InputError, match="none"):
        read_udp(tmp_path / f"none{kind.suffix}")
    with pytest.raises(OutputError, match="none"):
        written(tmp_path / "none", kind)


@EACH
def test_file_cut_short_anywhere_is_refused(kind, tmp_path):
    path = written(tmp_path, kind, some_udp(3, 3))
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(FormatError, match="0001"):
            read_udp(path)


@EACH
@given(data=st.data())
@settings(OFTEN, max_examples=150)
def test_damage_is_refused_or_leaves_a_udp(kind, tmp_path, data):
    path = written(tmp_path, kind, some_udp(4, 5))
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    try:
        picture = read_udp(path)
    except FormatError:
        return
    assert picture.shape[2] == 4
    assert picture.size == 80
    assert ((picture >= 0) & (picture <= 1)).all()
    assert not picture[picture[..., 3] != 1].any()


@EACH
@given(data=st.binary(max_size=200))
@OFTEN
def test_noise_is_refused(kind, tmp_path, data):
    path = tmp_path / f"a{kind.suffix}"
    path.write_bytes(data)
    with pytest.raises(FormatError):
        read_udp(path)


# ---------------------------------------------------------------- udp.json


def some_info(**changes):
    return replace(
        UdpInfo(
            encoding=UdpEncoding.uniform([(-0.7, -0.2, 0), (0.7, 0.3, 1.7)]),
            character="主人公",
            rest="rest position of the armature, arms lowered to 45 degrees",
            file_format=UdpFormat.NPZ,
            width_px=5,
            height_px=18,
            clipped_by_frame={1: 0.0, 2: 0.005, 12: 0.0},
            clipped_surface=0.0025,
            versions={"animerun_addon": "1.2.3", "blender": "4.5.3"},
        ),
        **changes,
    )


def plain_info(tmp_path):
    write_info(tmp_path, some_info())
    return json.loads((tmp_path / "udp.json").read_text())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"encoding": UdpEncoding.conr(1.62, 0.1, (0.01, -0.02))},
        {"encoding": UdpEncoding((1, -2, 3), (0, 0.1, 1e-7))},
        {"clipped_by_frame": {}},
        {"clipped_by_frame": {0: 1.0}, "clipped_surface": 1.0, "digits": 7, "versions": {}},
        {"file_format": UdpFormat.PNG16, "character": "", "rest": ""},
    ],
)
def test_what_is_written_about_a_sequence_is_read_again(changes, tmp_path):
    info = some_info(**changes)
    write_info(tmp_path, info)
    assert read_info(tmp_path) == info
    assert read_info(tmp_path).frames == tuple(info.clipped_by_frame)


def test_numbers_may_be_numpys(tmp_path):
    info = some_info(clipped_surface=np.float32(0.25)).with_frame(np.int64(3), np.float32(0.5))
    write_info(tmp_path, info)
    assert read_info(tmp_path) == info


@given(scale=st.tuples(*[st.floats(1e-6, 1e6)] * 3), offset=st.tuples(*[st.floats(-1e6, 1e6)] * 3))
@settings(OFTEN, max_examples=30)
def test_the_encodings_numbers_keep_every_digit(tmp_path, scale, offset):
    write_info(tmp_path, some_info(encoding=UdpEncoding(scale, offset)))
    assert read_info(tmp_path).encoding == UdpEncoding(scale, offset)


def test_udp_json_can_be_read_without_this_program(tmp_path):
    plain = plain_info(tmp_path)
    scale = 1 / 1.7
    assert plain["format"] == 1
    assert plain["encoding"]["preset"] == "uniform"
    assert plain["encoding"]["scale"] == pytest.approx([scale] * 3)
    assert plain["encoding"]["offset"] == pytest.approx([0.5, 0.5 - 0.05 * scale, 0])
    assert plain["size"] == [5, 18]
    assert plain["frames"] == [1, 2, 12]
    assert plain["clipped"] == {"surface": 0.0025, "frames": [0.0, 0.005, 0.0]}
    assert plain["warning"] is None
    assert "towards its back" in plain["convention"]


@pytest.mark.parametrize(
    ("surface", "frame", "words"),
    [
        (0.01, 0.01, None),
        (0.02, 0.0, r"2\.0 % of the character's surface"),
        (0.0, 0.3, r"30\.0 % of what frame 2 shows"),
        (0.25, 0.3, r"25\.0 % of the character's surface and 30\.0 % of what frame 2"),
    ],
)
def test_more_than_a_hundredth_clipped_is_a_warning(surface, frame, words, tmp_path):
    info = some_info(clipped_surface=surface).with_frame(2, frame)
    write_info(tmp_path, info)
    warning = json.loads((tmp_path / "udp.json").read_text())["warning"]
    assert warning == info.warning
    assert (warning is None) if words is None else re.search(words, warning)


def test_a_frame_more_finds_its_place():
    info = some_info().with_frame(5, 0.25)
    assert info.frames == (1, 2, 5, 12)
    assert info.clipped_by_frame[5] == 0.25
    assert some_info().with_frame(2, 0.5).frames == (1, 2, 12)


BAD_VALUES = {
    "another version": ("format", 2),
    "no version": ("format", None),
    "no encoding": ("encoding", None),
    "scale of 0": ("encoding", {"preset": "free", "scale": [1, 1, 0], "offset": [0, 0, 0]}),
    "two scales": ("encoding", {"preset": "free", "scale": [1, 1], "offset": [0, 0, 0]}),
    "scale in words": ("encoding", {"preset": "free", "scale": ["1", 1, 1], "offset": [0, 0, 0]}),
    "true scale": ("encoding", {"preset": "free", "scale": [True, 1, 1], "offset": [0, 0, 0]}),
    "endless scale": ("encoding", {"preset": "free", "scale": [1, 1, 10**400], "offset": [0, 0, 0]}),
    "offset that is no number": ("encoding", {"preset": "free", "scale": [1, 1, 1], "offset": [0, float("nan"), 0]}),
    "unknown preset": ("encoding", {"preset": "mine", "scale": [1, 1, 1], "offset": [0, 0, 0]}),
    "numbered character": ("character", 7),
    "no rest": ("rest", None),
    "unknown format": ("file_format", "jpg"),
    "no width": ("size", [0, 18]),
    "three sizes": ("size", [5, 18, 4]),
    "half a size": ("size", [5.5, 18]),
    "size in words": ("size", "5 x 18"),
    "no frames": ("frames", None),
    "frames in words": ("frames", ["1", "2", "12"]),
    "frames twice": ("frames", [1, 1, 12]),
    "frames backwards": ("frames", [12, 2, 1]),
    "frame before the first": ("frames", [-1, 2, 12]),
    "frame too long for its name": ("frames", [1, 2, 10000]),
    "fewer shares than frames": ("clipped", {"surface": 0, "frames": [0, 0]}),
    "share above 1": ("clipped", {"surface": 1.5, "frames": [0, 0, 0]}),
    "share that is no number": ("clipped", {"surface": float("nan"), "frames": [0, 0, 0]}),
    "no share": ("clipped", {"frames": [0, 0, 0]}),
    "no digits": ("digits", 0),
    "numbered version": ("versions", {"blender": 4.5}),
    "versions in a list": ("versions", []),
}


@pytest.mark.parametrize(("key", "value"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_udp_json_that_makes_no_sense_is_refused(key, value, tmp_path):
    plain = plain_info(tmp_path) | {key: value}
    (tmp_path / "udp.json").write_text(json.dumps(plain))
    with pytest.raises(FormatError, match=r"udp\.json"):
        read_info(tmp_path)


@pytest.mark.parametrize("key", ["format", "encoding", "character", "rest", "file_format", "size", "digits", "frames"])
def test_udp_json_without_something_is_refused(key, tmp_path):
    plain = plain_info(tmp_path)
    del plain[key]
    (tmp_path / "udp.json").write_text(json.dumps(plain))
    with pytest.raises(FormatError, match=r"udp\.json"):
        read_info(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "null", "7", "{", "[" * 100_000, '"format"', "\udcff"])
def test_what_is_no_udp_json_is_refused(text, tmp_path):
    (tmp_path / "udp.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(FormatError, match=r"udp\.json"):
        read_info(tmp_path)


@given(data=st.data())
@settings(OFTEN, max_examples=200)
def test_damaged_udp_json_is_refused_or_says_another_thing_that_makes_sense(tmp_path, data):
    write_info(tmp_path, some_info())
    damaged = bytearray((tmp_path / "udp.json").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "udp.json").write_bytes(damaged)
    try:
        info = read_info(tmp_path)
    except FormatError:
        return
    write_info(tmp_path, info)
    assert read_info(tmp_path) == info


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    key=st.sampled_from(["encoding", "character", "size", "digits", "frames", "clipped", "versions"]), value=json_values
)
@settings(OFTEN, max_examples=200)
def test_any_value_anywhere_is_refused_or_makes_sense(tmp_path, key, value):
    plain = plain_info(tmp_path) | {key: value}
    (tmp_path / "udp.json").write_text(json.dumps(plain))
    try:
        read_info(tmp_path)
    except FormatError:
        return
    assert key in ("character", "digits", "versions", "size", "frames", "clipped")


@pytest.mark.parametrize(
    "changes",
    [{"clipped_surface": 2.0}, {"clipped_surface": float("nan")}, {"width_px": 0}, {"clipped_by_frame": {2: 0, 1: 0}}],
)
def test_udp_json_that_could_not_be_read_is_not_written(changes, tmp_path):
    with pytest.raises(FormatError):
        write_info(tmp_path, some_info(**changes))
    assert not list(tmp_path.iterdir())


def test_folder_without_udp_json_is_named(tmp_path):
    with pytest.raises(InputError, match=r"udp\.json.*No such file"):
        UdpSequence(tmp_path)


# ---------------------------------------------------------------- sequences


def some_sequence(folder, kind=UdpFormat.NPZ, **changes):
    info = some_info(file_format=kind, **changes)
    udp.frames_folder(folder).mkdir()
    for frame in info.frames:
        write_udp(info.path(folder, frame), some_udp(seed=frame), kind)
    write_info(folder, info)
    return info


@EACH
def test_a_sequence_gives_its_frames_by_place_and_by_number(kind, tmp_path):
    some_sequence(tmp_path, kind)
    sequence = UdpSequence(str(tmp_path))
    assert len(sequence) == 3
    step = 2 * HALF_STEP[kind] + ROUNDED
    for picture, frame in zip(sequence, (1, 2, 12), strict=True):
        assert np.abs(picture - some_udp(seed=frame)).max() < step
        assert np.array_equal(sequence.frame(frame), picture)
    assert np.array_equal(sequence[-1], sequence.frame(12))
    assert [len(part) for part in (sequence[1:], sequence[:0])] == [2, 0]
    with pytest.raises(IndexError):
        sequence[3]


@EACH
def test_a_sequence_decodes_to_rest_coordinates(kind, tmp_path):
    info = some_sequence(tmp_path, kind)
    rest = UdpSequence(tmp_path).decode(12)
    picture = some_udp(seed=12)
    on_it = picture[..., 3] == 1
    expected = (picture[on_it, :3] - np.array(info.encoding.offset)) / info.encoding.scale
    assert rest.shape == (18, 5, 3)
    assert np.isnan(rest[~on_it]).all()
    assert np.abs(rest[on_it] - expected).max() <= (HALF_STEP[kind] + ROUNDED) / info.encoding.scale[0]


def test_frames_are_read_when_they_are_asked_for(tmp_path):
    info = some_sequence(tmp_path)
    sequence = UdpSequence(tmp_path)
    info.path(tmp_path, 2).write_bytes(b"damaged")
    info.path(tmp_path, 12).unlink()
    assert sequence[0].shape == (18, 5, 4)
    with pytest.raises(FormatError, match=r"0002\.npz"):
        sequence[1]
    with pytest.raises(InputError, match=r"0012\.npz"):
        sequence[2]


def test_a_frame_of_another_size_is_refused(tmp_path):
    info = some_sequence(tmp_path)
    write_udp(info.path(tmp_path, 2), some_udp(5, 18), UdpFormat.NPZ)
    with pytest.raises(FormatError, match=r"18 x 5 pixels where udp\.json has 5 x 18"):
        UdpSequence(tmp_path)[1]


def test_a_frame_that_a_sequence_does_not_have_is_named(tmp_path):
    some_sequence(tmp_path)
    with pytest.raises(InputError, match="no frame 3"):
        UdpSequence(tmp_path).frame(3)


def test_conrs_loader_finds_nothing_but_poses_sorted_by_number(tmp_path):
    """It takes every file of the folder, sorted by name, whatever it is."""
    info = some_sequence(tmp_path, clipped_by_frame=dict.fromkeys((2, 10, 9999, 10000, 123456), 0.0), digits=6)
    files = sorted(path for path in udp.frames_folder(tmp_path).iterdir() if path.is_file())
    assert [int(path.stem) for path in files] == list(info.frames)
    for path, frame in zip(files, info.frames, strict=True):
        assert np.array_equal(load_as_conr_does(path, opencv_unchanged), some_udp(seed=frame))


def test_presets_have_the_names_that_udp_json_has():
    assert [*Preset] == ["uniform", "conr", "free"]
