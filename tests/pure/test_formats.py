# SPDX-License-Identifier: GPL-3.0-or-later
"""File formats: bytes laid out by hand and other programs' readers, round trips, and damage of every kind."""

import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from animerun_addon.dataset import formats
from animerun_addon.dataset.formats import FormatError
from animerun_addon.errors import InputError, OutputError

# The folder of a test is the same for all examples: each writes its file anew.
OFTEN = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SIDES = st.tuples(st.integers(1, 7), st.integers(1, 7))
FLOATS = st.floats(width=32)


def random_numbers(*shape):
    return np.random.default_rng(0).random(shape).astype(np.float32)


def some_flow(height=4, width=5):
    flow_px = 60 * random_numbers(height, width, 2) - 30
    valid = random_numbers(height, width) < 0.7
    flow_px[~valid] = 0.0
    return flow_px, valid


@dataclass(frozen=True)
class Format:
    suffix: str
    write: Callable[[Path], None]
    read: Callable[[Path], object]


def write_some_flow(write):
    return lambda path: write(path, *some_flow())


FORMATS = {
    "flo": Format(".flo", write_some_flow(formats.write_flo), formats.read_flo),
    "kitti": Format(".png", write_some_flow(formats.write_kitti_flow), formats.read_kitti_flow),
    "pfm": Format(".pfm", lambda path: formats.write_pfm(path, random_numbers(3, 5)), formats.read_pfm),
    "npy": Format(".npy", lambda path: formats.write_npy(path, np.arange(12).reshape(3, 4)), formats.read_npy),
    "npz": Format(
        ".npz", lambda path: formats.write_npz(path, {"a": np.zeros((5, 5)), "b": np.arange(3)}), formats.read_npz
    ),
    "png": Format(
        ".png",
        lambda path: formats.write_png(path, (256 * random_numbers(6, 5, 3)).astype(np.uint8)),
        formats.read_png,
    ),
    "exr": Format(
        ".exr",
        lambda path: formats.write_exr(path, {"R": random_numbers(20, 4), "depth.Z": np.ones((20, 4))}),
        formats.read_exr,
    ),
    "matching": Format(".json", lambda path: formats.write_matching(path, [[1, 0], [-1], [2]]), formats.read_matching),
}
EACH = pytest.mark.parametrize("kind", FORMATS.values(), ids=FORMATS)


def refused(read, path, data, match=None):
    path.write_bytes(data)
    with pytest.raises(FormatError, match=match) as caught:
        read(path)
    assert path.name in str(caught.value)


# ---------------------------------------------------------------- every format


@EACH
def test_names_beyond_ascii(kind, tmp_path):
    path = tmp_path / f"アニメ ü{kind.suffix}"
    kind.write(path)
    kind.read(path)
    assert list(tmp_path.iterdir()) == [path]


@EACH
def test_missing_file_is_named(kind, tmp_path):
    with pytest.raises(InputError, match=r"none\.x.*No such file"):
        kind.read(tmp_path / "none.x")


@EACH
def test_folder_that_is_missing_is_an_output_error(kind, tmp_path):
    with pytest.raises(OutputError, match="none"):
        kind.write(tmp_path / "none" / f"a{kind.suffix}")


@EACH
def test_same_input_gives_same_bytes(kind, tmp_path):
    path = tmp_path / f"a{kind.suffix}"
    kind.write(path)
    content = kind.read(path)
    again = tmp_path / f"b{kind.suffix}"
    writers = {
        "read_flo": lambda: formats.write_flo(again, *content),
        "read_kitti_flow": lambda: formats.write_kitti_flow(again, *content),
    }
    name = kind.read.__name__
    writers.get(name, lambda: getattr(formats, name.replace("read", "write"))(again, content))()
    assert again.read_bytes() == path.read_bytes()


@EACH
def test_file_cut_short_anywhere_is_refused(kind, tmp_path):
    path = tmp_path / f"a{kind.suffix}"
    kind.write(path)
    data = path.read_bytes()
    for length in range(len(data)):
        refused(kind.read, path, data[:length])


@EACH
@pytest.mark.parametrize("more", [b"\0", b"x", b"\0" * 100])
def test_bytes_behind_the_end_are_refused(kind, more, tmp_path):
    path = tmp_path / f"a{kind.suffix}"
    kind.write(path)
    refused(kind.read, path, path.read_bytes() + more)


def shapes(content):
    if isinstance(content, dict):
        return {name: array.shape for name, array in content.items()}
    return [array.shape for array in content] if isinstance(content, tuple) else np.shape(content)


@EACH
@given(data=st.data())
@settings(OFTEN, max_examples=150)
def test_damage_is_refused_or_harmless(kind, tmp_path, data):
    """Nothing but our error comes out of a damaged file, or arrays that have the size that the file says."""
    path = tmp_path / f"a{kind.suffix}"
    kind.write(path)
    whole = kind.read(path)
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    try:
        content = kind.read(path)
    except FormatError:
        return
    if kind.suffix != ".json":
        assert_same_amount(content, whole)


def assert_same_amount(content, whole):
    def numbers(found):
        arrays_found = found.values() if isinstance(found, dict) else found if isinstance(found, tuple) else [found]
        return sorted(array.nbytes for array in arrays_found)

    # Names and proportions (3 x 5 for 5 x 3) have no check sum in every format; amounts have their file's size.
    assert numbers(content) == numbers(whole)


@EACH
@given(data=st.binary(max_size=200))
@OFTEN
def test_noise_is_refused(kind, tmp_path, data):
    refused(kind.read, tmp_path / f"a{kind.suffix}", data)


# ---------------------------------------------------------------- .flo


def test_flo_laid_out_by_hand(tmp_path):
    path = tmp_path / "a.flo"
    path.write_bytes(b"PIEH" + struct.pack("<ii", 2, 1) + struct.pack("<4f", 1.5, -2.0, 1e10, 1e10))
    flow_px, valid = formats.read_flo(path)
    assert flow_px.tolist() == [[[1.5, -2.0], [0.0, 0.0]]]
    assert valid.tolist() == [[True, False]]
    formats.write_flo(tmp_path / "b.flo", flow_px, valid)
    assert (tmp_path / "b.flo").read_bytes() == path.read_bytes()


def test_opencv_reads_the_same_flo(tmp_path):
    flow_px, valid = some_flow()
    formats.write_flo(tmp_path / "a.flo", flow_px, valid)
    theirs = cv2.readOpticalFlow(str(tmp_path / "a.flo"))
    assert np.array_equal(theirs[valid], flow_px[valid])
    assert (theirs[~valid] == np.float32(1e10)).all()


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1.1e9, -1e10])
@pytest.mark.parametrize("channel", [0, 1])
def test_flo_of_others_with_odd_unknowns(number, channel, tmp_path):
    numbers = [3.0, 3.0]
    numbers[channel] = number
    (tmp_path / "a.flo").write_bytes(b"PIEH" + struct.pack("<ii2f", 1, 1, *numbers))
    flow_px, valid = formats.read_flo(tmp_path / "a.flo")
    assert not valid.any()
    assert not flow_px.any()


@pytest.mark.parametrize(("width", "height"), [(0, 4), (-1, 4), (4, -1), (2**31 - 1, 2**31 - 1), (-2, -2)])
def test_flo_of_absurd_size(width, height, tmp_path):
    data = b"PIEH" + struct.pack("<ii", width, height) + bytes(32)
    refused(formats.read_flo, tmp_path / "a.flo", data, match="pixels")


@pytest.mark.parametrize(
    "flow_px",
    [np.zeros((4, 5)), np.zeros((4, 5, 3)), np.zeros((0, 5, 2)), np.full((1, 1, 2), np.nan), np.full((1, 1, 2), 1e10)],
)
def test_what_is_no_flow_is_not_written(flow_px, tmp_path):
    for write in (formats.write_flo, formats.write_kitti_flow):
        with pytest.raises(FormatError):
            write(tmp_path / "a.flo", flow_px)
    assert not list(tmp_path.iterdir())


def test_mask_of_another_size_is_refused(tmp_path):
    with pytest.raises(FormatError, match="mask"):
        formats.write_flo(tmp_path / "a.flo", np.zeros((4, 5, 2)), np.ones((5, 4), dtype=np.bool_))


@given(shape=SIDES, data=st.data())
@OFTEN
def test_flo_round_trip(shape, data, tmp_path):
    known_flow = st.floats(-1e9, 1e9, width=32)
    flow_px = data.draw(arrays.arrays(np.float32, (*shape, 2), elements=known_flow))
    valid = data.draw(arrays.arrays(np.bool_, shape))
    formats.write_flo(tmp_path / "a.flo", flow_px, valid)
    read_px, read_valid = formats.read_flo(tmp_path / "a.flo")
    assert np.array_equal(read_valid, valid)
    assert np.array_equal(read_px, np.where(valid[..., None], flow_px, 0))


# ---------------------------------------------------------------- KITTI


def test_kitti_flow_as_another_reader_sees_it(tmp_path):
    flow_px = np.array([[[1.0, -2.0], [0.0, 511.984375], [-512.0, 5.0]]], dtype=np.float32)
    formats.write_kitti_flow(tmp_path / "a.png", flow_px, np.array([[True, True, False]]))
    blue_first = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert blue_first.dtype == np.uint16
    assert blue_first[..., ::-1].tolist() == [[[32832, 32640, 1], [32768, 65535, 1], [0, 0, 0]]]


@given(shape=SIDES, data=st.data())
@OFTEN
def test_kitti_round_trip_to_a_64th_of_a_pixel(shape, data, tmp_path):
    flow_px = data.draw(arrays.arrays(np.float32, (*shape, 2), elements=st.floats(-512, 511.984375, width=32)))
    valid = data.draw(arrays.arrays(np.bool_, shape))
    formats.write_kitti_flow(tmp_path / "a.png", flow_px, valid)
    read_px, read_valid = formats.read_kitti_flow(tmp_path / "a.png")
    assert np.array_equal(read_valid, valid)
    assert np.abs(read_px - flow_px)[valid].max(initial=0) <= 1 / 128
    assert not read_px[~valid].any()


@pytest.mark.parametrize("too_far", [512.0, 511.995, -512.5, 4000.0])
def test_kitti_flow_that_does_not_fit(too_far, tmp_path):
    flow_px = np.zeros((2, 2, 2))
    flow_px[1, 1, 0] = too_far
    with pytest.raises(FormatError, match="512 px"):
        formats.write_kitti_flow(tmp_path / "a.png", flow_px)


def test_8_bit_png_is_no_kitti_flow(tmp_path):
    formats.write_png(tmp_path / "a.png", np.zeros((2, 2, 3), dtype=np.uint8))
    with pytest.raises(FormatError, match="16 bits"):
        formats.read_kitti_flow(tmp_path / "a.png")


# ---------------------------------------------------------------- .pfm


@pytest.mark.parametrize(("order", "scale"), [("<", b"-1.0"), (">", b"1"), (">", b"0.00392157"), ("<", b"-2e1")])
def test_pfm_laid_out_by_hand_in_both_byte_orders(order, scale, tmp_path):
    path = tmp_path / "a.pfm"
    path.write_bytes(b"Pf\n2 2\n" + scale + b"\n" + struct.pack(f"{order}4f", 3, 4, 1, 2))
    assert formats.read_pfm(path).tolist() == [[1, 2], [3, 4]]
    path.write_bytes(b"PF 1 2 " + scale + b"\n" + struct.pack(f"{order}6f", 4, 5, 6, 1, 2, 3))
    assert formats.read_pfm(path).tolist() == [[[1, 2, 3]], [[4, 5, 6]]]


@pytest.mark.parametrize("channels", [(), (3,)])
def test_opencv_reads_the_same_pfm(channels, tmp_path):
    numbers = random_numbers(4, 5, *channels)
    formats.write_pfm(tmp_path / "a.pfm", numbers)
    theirs = cv2.imread(str(tmp_path / "a.pfm"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(theirs[..., ::-1] if channels else theirs, numbers)


@given(shape=SIDES, channels=st.sampled_from([(), (3,)]), data=st.data())
@OFTEN
def test_pfm_round_trip(shape, channels, data, tmp_path):
    numbers = data.draw(arrays.arrays(np.float32, (*shape, *channels), elements=FLOATS))
    formats.write_pfm(tmp_path / "a.pfm", numbers)
    assert_identical(formats.read_pfm(tmp_path / "a.pfm"), numbers)


@pytest.mark.parametrize(
    "header", [b"P6\n1 1\n-1\n", b"Pf\n1\n-1\n", b"Pf\n1 1\n0\n", b"Pf\n1 1\nnan\n", b"Pf\n-1 1\n-1\n", b"Pf\n1 1\n-1"]
)
def test_pfm_with_another_header(header, tmp_path):
    refused(formats.read_pfm, tmp_path / "a.pfm", header + bytes(4), match="begin")


def test_pfm_of_absurd_size(tmp_path):
    refused(formats.read_pfm, tmp_path / "a.pfm", b"PF\n999999999 999999999\n-1\n", match="pixels")


@pytest.mark.parametrize("numbers", [np.zeros((2, 2, 2)), np.zeros(4), np.zeros((0, 2)), np.array([["a"]])])
def test_what_does_not_fit_into_pfm(numbers, tmp_path):
    with pytest.raises(FormatError, match="cannot hold"):
        formats.write_pfm(tmp_path / "a.pfm", numbers)


@pytest.mark.parametrize(
    "write", [formats.write_pfm, lambda path, ids: formats.write_exr(path, {"id": ids})], ids=["pfm", "exr"]
)
def test_ids_are_not_rounded(write, tmp_path):
    write(tmp_path / "a", np.array([[2**24, -1]]))
    with pytest.raises(FormatError, match="exactly"):
        write(tmp_path / "b", np.array([[2**24 + 1]]))


# ---------------------------------------------------------------- numpy's own

NUMBERS = st.one_of(
    arrays.boolean_dtypes(), arrays.integer_dtypes(), arrays.unsigned_integer_dtypes(), arrays.floating_dtypes()
).filter(lambda dtype: dtype.itemsize <= 8)
NUMPY_ARRAYS = arrays.arrays(NUMBERS, arrays.array_shapes(min_dims=0, max_dims=4, max_side=5))


def assert_identical(one, other):
    assert one.dtype == other.dtype.newbyteorder("=")
    assert one.shape == other.shape
    assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    assert one.flags.writeable
    assert one.flags.c_contiguous


@given(array=NUMPY_ARRAYS)
@OFTEN
def test_npy_round_trip_and_numpy_reads_the_same(array, tmp_path):
    path = tmp_path / "a.npy"
    formats.write_npy(path, array)
    assert_identical(formats.read_npy(path), array)
    assert np.array_equal(np.load(path, allow_pickle=False), array, equal_nan=array.dtype.kind == "f")


@given(array=NUMPY_ARRAYS, in_columns=st.booleans())
@OFTEN
def test_what_numpy_writes_is_read(array, in_columns, tmp_path):
    np.save(tmp_path / "a.npy", np.asfortranarray(array) if in_columns else array)
    assert_identical(formats.read_npy(tmp_path / "a.npy"), np.load(tmp_path / "a.npy"))


def test_npy_of_version_2(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, np.arange(6).reshape(2, 3), version=(2, 0))
    assert formats.read_npy(tmp_path / "a.npy").tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("array", [np.array([{}]), np.array(["a"]), np.zeros(2, dtype="i4,f4"), np.zeros(2, "c8")])
def test_neither_pickles_nor_what_is_no_number(array, tmp_path):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(FormatError, match="bools or numbers"):
        formats.read_npy(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", a=array)
    with pytest.raises(FormatError, match="bools or numbers"):
        formats.read_npz(tmp_path / "a.npz")
    for write in (formats.write_npy, lambda path, array: formats.write_npz(path, {"a": array})):
        with pytest.raises(FormatError, match="bools or numbers"):
            write(tmp_path / "b", array)


def npy_claiming(shape):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


@pytest.mark.parametrize("shape", ["(999999999999,)", "(99999, 99999, 99999)", "(0, 3)", f"({'1, ' * 33})", "(5,)"])
def test_npy_of_absurd_shape(shape, tmp_path):
    refused(formats.read_npy, tmp_path / "a.npy", npy_claiming(shape))


def test_bools_that_are_none(tmp_path):
    np.save(tmp_path / "a.npy", np.array([2], dtype=np.uint8))
    data = (tmp_path / "a.npy").read_bytes().replace(b"|u1", b"|b1")
    refused(formats.read_npy, tmp_path / "a.npy", data, match="bools")


@given(content=st.dictionaries(st.sampled_from(["file", "flow", "深度", "a b"]), NUMPY_ARRAYS, min_size=1))
@OFTEN
def test_npz_round_trip_and_numpy_reads_the_same(content, tmp_path):
    path = tmp_path / "a.npz"
    formats.write_npz(path, content)
    ours = formats.read_npz(path)
    assert list(ours) == list(content)
    with np.load(path, allow_pickle=False) as theirs:
        for name, array in content.items():
            assert_identical(ours[name], array)
            assert np.array_equal(theirs[name], array, equal_nan=array.dtype.kind == "f")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_of_numpy(save, tmp_path):
    save(tmp_path / "a.npz", flow=np.ones((3, 4)), ids=np.arange(4))
    assert shapes(formats.read_npz(tmp_path / "a.npz")) == {"flow": (3, 4), "ids": (4,)}


def test_npz_bomb_is_not_unpacked(tmp_path):
    """One entry that claims 4 GB in its directory."""
    formats.write_npz(tmp_path / "a.npz", {"a": np.zeros(1000)})
    data = bytearray((tmp_path / "a.npz").read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", 0xFFFFFF00)
    refused(formats.read_npz, tmp_path / "a.npz", data, match="more than fits")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [["a.txt"], ["a.npy", "a.npy"], []])
def test_other_archives(names, tmp_path):
    path = tmp_path / "a.npz"
    formats.write_npy(tmp_path / "a.npy", np.zeros(3))
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.write(tmp_path / "a.npy", name)
    with pytest.raises(FormatError):
        formats.read_npz(path)
    with pytest.raises(FormatError):
        formats.write_npz(path, {})


def changes(data, places):
    """Copies with one of the bytes at these places changed."""
    for place in places:
        for change in (1, 128, 255):
            yield data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]


def test_archive_that_forgets_some_of_its_files_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    formats.write_npz(path, {"a": np.zeros((5, 5)), "b": np.arange(3)})
    data = path.read_bytes()
    for damaged in changes(data, range(len(data) - 22, len(data))):
        refused(formats.read_npz, path, damaged)


# ---------------------------------------------------------------- PNG


def test_any_changed_byte_of_a_png_is_noticed(tmp_path):
    path = tmp_path / "a.png"
    formats.write_png(path, np.zeros((4, 4, 3), dtype=np.uint16))
    data = path.read_bytes()
    for damaged in changes(data, range(len(data))):
        refused(formats.read_png, path, damaged)


@given(
    shape=SIDES,
    channels=st.sampled_from([(), (3,), (4,)]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    data=st.data(),
)
@OFTEN
def test_png_round_trip(shape, channels, dtype, data, tmp_path):
    picture = data.draw(arrays.arrays(dtype, (*shape, *channels)))
    formats.write_png(tmp_path / "a.png", picture)
    assert_identical(formats.read_png(tmp_path / "a.png"), picture)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, bits, colour, rows):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_png_laid_out_by_hand(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(2, 1, 16, 2, b"\0" + struct.pack(">6H", 1, 2, 3, 65535, 0, 256)))
    picture = formats.read_png(path)
    assert picture.dtype == np.uint16
    assert picture.tolist() == [[[1, 2, 3], [65535, 0, 256]]]
    path.write_bytes(png(8, 1, 1, 0, b"\0\x81"))
    assert formats.read_png(path).tolist() == [[255, 0, 0, 0, 0, 0, 0, 255]]


@pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (0, 1), (11000, 11000)])
def test_png_of_absurd_size(size, tmp_path):
    refused(formats.read_png, tmp_path / "a.png", png(*size, 8, 2, b"\0"))


@pytest.mark.parametrize(
    "picture", [np.zeros((2, 2)), np.zeros((2, 2, 2), np.uint8), np.zeros((0, 2), np.uint8), np.zeros(2, np.uint8)]
)
def test_what_is_no_picture_is_not_written(picture, tmp_path):
    with pytest.raises(FormatError, match="cannot hold"):
        formats.write_png(tmp_path / "a.png", picture)


# ---------------------------------------------------------------- EXR


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 7)),
    names=st.lists(st.sampled_from(["R", "G", "depth.Z", "forward.u", "RGB", "A"]), min_size=1, unique=True),
    data=st.data(),
)
@settings(OFTEN, max_examples=50)
def test_exr_round_trip(shape, names, data, tmp_path):
    channels = {name: data.draw(arrays.arrays(np.float32, shape, elements=FLOATS)) for name in names}
    formats.write_exr(tmp_path / "a.exr", channels)
    read = formats.read_exr(tmp_path / "a.exr")
    assert set(read) == set(names)
    for name, numbers in channels.items():
        assert_identical(read[name], numbers)


def exr(path, pixels, **header):
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **header}
    OpenEXR.File(header, pixels).write(str(path))


@pytest.mark.parametrize("compression", ["NO", "RLE", "ZIPS", "ZIP", "PIZ"])
@pytest.mark.parametrize("height", [1, 31, 32, 33])
def test_exr_of_every_lossless_compression(compression, height, tmp_path):
    numbers = random_numbers(height, 6)
    path = tmp_path / "a.exr"
    exr(path, {"R": numbers, "B": numbers + 1}, compression=getattr(OpenEXR, f"{compression}_COMPRESSION"))
    read = formats.read_exr(path)
    assert np.array_equal(read["R"], numbers)
    assert np.array_equal(read["B"], numbers + 1)


def test_half_floats_are_refused(tmp_path):
    numbers = np.zeros((3, 4))
    exr(tmp_path / "a.exr", {"R": numbers.astype(np.float32), "G": numbers.astype(np.float16)})
    with pytest.raises(FormatError, match=r"Float \(Full\)"):
        formats.read_exr(tmp_path / "a.exr")


def test_lossy_compression_is_refused(tmp_path):
    exr(tmp_path / "a.exr", {"R": np.zeros((3, 4), np.float32)}, compression=OpenEXR.DWAA_COMPRESSION)
    with pytest.raises(FormatError, match="with loss"):
        formats.read_exr(tmp_path / "a.exr")


def test_part_of_a_frame_is_refused(tmp_path):
    window = (np.array([0, 0], np.int32), np.array([9, 9], np.int32))
    exr(tmp_path / "a.exr", {"R": np.zeros((3, 4), np.float32)}, displayWindow=window)
    with pytest.raises(FormatError, match="border"):
        formats.read_exr(tmp_path / "a.exr")


def test_tiles_and_parts_are_refused(tmp_path):
    pixels = {"R": np.zeros((3, 4), np.float32)}
    exr(tmp_path / "tiles.exr", pixels, type=OpenEXR.tiledimage, tiles=OpenEXR.TileDescription())
    parts = [OpenEXR.Part({"type": OpenEXR.scanlineimage}, pixels, name) for name in ("one", "two")]
    OpenEXR.File(parts).write(str(tmp_path / "parts.exr"))
    for name in ("tiles.exr", "parts.exr"):
        with pytest.raises(FormatError, match="one part"):
            formats.read_exr(tmp_path / name)


def test_exr_of_absurd_size(tmp_path):
    exr(tmp_path / "a.exr", {"R": np.zeros((3, 4), np.float32)})
    data = (tmp_path / "a.exr").read_bytes()
    window = struct.pack("<4i", 0, 0, 3, 2)
    for corner in [(99999, 99999), (-5, 2), (2**31 - 1, 2**31 - 1)]:
        refused(formats.read_exr, tmp_path / "a.exr", data.replace(window, struct.pack("<4i", 0, 0, *corner)), "pixels")


@pytest.mark.parametrize(
    "channels",
    [{}, {"R": np.zeros((2, 2)), "G": np.zeros((2, 3))}, {"R": np.zeros(3)}, {"": np.zeros((2, 2))}, {"ü": np.eye(2)}],
)
def test_what_does_not_fit_into_exr(channels, tmp_path):
    with pytest.raises(FormatError):
        formats.write_exr(tmp_path / "a.exr", channels)


# ---------------------------------------------------------------- matching


def test_matching_has_a_key_for_every_segment(tmp_path):
    formats.write_matching(tmp_path / "a.json", [[4, 2], [-1]])
    assert json.loads((tmp_path / "a.json").read_text()) == {"0": [4, 2], "1": [-1]}


def test_matching_in_any_order_is_read(tmp_path):
    (tmp_path / "a.json").write_text('{"1": [-1], "0": [3]}')
    assert formats.read_matching(tmp_path / "a.json") == [[3], [-1]]


@pytest.mark.parametrize(
    "text",
    [
        '{"0": [1], "2": [1]}',
        '{"00": [1]}',
        '{"0": []}',
        '{"0": [1, -1]}',
        '{"0": [1, 1]}',
        '{"0": [1.0]}',
        '{"0": [true]}',
        '{"0": 1}',
        "[[1]]",
        "nonsense",
        "[" * 100_000,
    ],
)
def test_what_is_no_matching(text, tmp_path):
    refused(formats.read_matching, tmp_path / "a.json", text.encode())


@given(matches=st.lists(st.one_of(st.just([-1]), st.lists(st.integers(0, 99), min_size=1, unique=True))))
@example(matches=[])
@OFTEN
def test_matching_round_trip(matches, tmp_path):
    formats.write_matching(tmp_path / "a.json", matches)
    assert formats.read_matching(tmp_path / "a.json") == matches
