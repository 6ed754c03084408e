"""Frames of a cohort against the imaging functions; the cache: made once, never half-written."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from mammostudy.data import cache, row_files
from mammostudy.data.cache import cached_arrays
from mammostudy.data.cohort import Cohort
from mammostudy.data.frames import Frame, Preprocessing, frame_cohort, frame_of, given_box
from mammostudy.imaging import crop_and_resize, preprocess
from mammostudy.paths import write_atomically

PLAIN = Preprocessing(denoise_sigma=0.0, equalise=False)


@pytest.mark.parametrize("steps", [PLAIN, Preprocessing(), Preprocessing(value_range="signed")])
def test_preprocessing_acts_on_the_resized_frame(tiny, steps):
    frame = Frame(size=24)
    framed = frame_cohort(tiny, frame, steps)
    assert framed.cases == tuple(tiny.masses.index)
    for row, sample in enumerate(tiny):
        resized = crop_and_resize(sample.image, frame_of(sample, frame), 24)
        np.testing.assert_array_equal(framed.images[row], preprocess(resized, **steps.model_dump()))


def test_company_counts_the_pixels_of_the_other_masses(tiny):
    frame = Frame(size=32, scale=3, truth="target")
    framed, sample = frame_cohort(tiny, frame, PLAIN), tiny.sample("P0_CC_1")
    company = dict(zip(framed.cases, framed.company.tolist(), strict=True))
    assert {case for case, count in company.items() if count} == {"P0_CC_1", "P0_CC_2"}
    others = crop_and_resize(sample.truth_all & ~sample.mask, frame_of(sample, frame), 32)
    assert company["P0_CC_1"] == others.sum()
    tight = frame_cohort(tiny, Frame(size=32, strategy="tight"), PLAIN)
    assert not tight.company.any()  # a tight frame shows none of them


def test_the_given_box_in_the_frame(tiny):
    loose = frame_cohort(tiny, Frame(size=64), PLAIN)
    np.testing.assert_allclose(loose.given, [[16, 16, 48, 48]] * 13, atol=2.0)  # its middle half
    tight = frame_cohort(tiny, Frame(size=64, strategy="tight"), PLAIN)
    np.testing.assert_array_equal(tight.given, [[0, 0, 64, 64]] * 13)
    full = frame_cohort(tiny, Frame(size=64, strategy="full"), PLAIN)
    boxes = np.array([sample.box for sample in tiny], np.float32)
    np.testing.assert_allclose(full.given, boxes * [1, 64 / 48, 1, 64 / 48], rtol=1e-6)


def test_jittered_boxes_are_the_same_every_time_and_differ_by_case(tiny):
    frame, samples = Frame(box="jittered"), list(tiny)
    boxes = np.array([given_box(sample, frame) for sample in samples])
    again = [given_box(sample, frame) for sample in reversed(samples)]
    np.testing.assert_array_equal(boxes, again[::-1])
    oracle = np.array([sample.box for sample in samples])
    assert len(set(map(tuple, boxes - oracle))) > 5
    sides = oracle[:, 2:] - oracle[:, :2]
    assert (np.abs(boxes - oracle) <= np.tile(0.2 * sides + 1, 2)).all()
    assert boxes[:, 0].min() >= 0
    assert boxes[:, 2].max() <= 64


def test_the_second_call_reads_no_image(tiny, monkeypatch):
    reads = []
    read = row_files.read_mammogram
    noted = lambda path, *more: reads.append(path) or read(path, *more)  # noqa: E731
    monkeypatch.setattr(row_files, "read_mammogram", noted)
    first = frame_cohort(tiny, Frame(size=32), PLAIN)
    assert len(reads) == 12  # an image a view, once, though one of them shows two masses
    monkeypatch.setattr(Cohort, "sample", lambda *_: pytest.fail("sampled again"))
    second = frame_cohort(tiny, Frame(size=32), PLAIN)
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.masks, second.masks)
    assert len(reads) == 12
    with pytest.raises(pytest.fail.Exception):
        frame_cohort(tiny, Frame(size=32, scale=2.5), PLAIN)  # control: another recipe does read


def test_a_redrawn_mask_changes_the_hash_and_is_framed_again(tiny, monkeypatch):
    said = tiny.manifest_hash
    before = frame_cohort(tiny, Frame(size=32), PLAIN)
    path = tiny.root / "masks" / "P1_CC.png"
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), cv2.dilate(labels, np.ones((5, 5))))
    anew = Cohort("tiny", tiny.root, tiny.manifest)
    assert anew.manifest_hash != said
    row = before.cases.index("P1_CC_1")
    assert frame_cohort(anew, Frame(size=32), PLAIN).masks[row].sum() > before.masks[row].sum()
    monkeypatch.setattr(Cohort, "manifest_hash", said)
    old = frame_cohort(anew, Frame(size=24), PLAIN)
    cv2.imwrite(str(path), labels)
    stale = frame_cohort(anew, Frame(size=24), PLAIN)
    np.testing.assert_array_equal(stale.masks, old.masks)  # control: by the manifest alone, stale


def files(store):
    return [path for path in store.rglob("*") if path.is_file()]


@pytest.mark.parametrize("damage", [None, "empty", "half", "text", "flipped"])
def test_arrays_are_made_once_and_again_where_the_file_is_damaged(own_store, damage):
    calls, arrays = [], {"a": np.arange(6.0).reshape(2, 3), "b": np.array([True, False])}

    def make():
        calls.append(1)
        return arrays

    cached_arrays("room", {"of": "test"}, make)
    (path,) = files(own_store)
    whole, flipped = path.read_bytes(), bytearray(path.read_bytes())
    flipped[len(whole) // 4] ^= 0xFF
    if damage:
        half = whole[: len(whole) // 2]
        damaged = {"empty": b"", "half": half, "text": b"no archive", "flipped": flipped}
        path.write_bytes(damaged[damage])
    for _ in range(2):
        again = cached_arrays("room", {"of": "test"}, make)
        assert {name: array.dtype for name, array in again.items()} == {"a": float, "b": bool}
        np.testing.assert_array_equal(again["a"], arrays["a"])
    assert len(calls) == (2 if damage else 1)
    cached_arrays("room", {"of": "test", "more": 1}, make)
    assert len(files(own_store)) == 2


@pytest.mark.parametrize("most", [30_000, 1 << 30])
def test_what_was_used_longest_ago_leaves_the_cache(own_store, monkeypatch, most):
    monkeypatch.setattr(cache, "cache_bytes", lambda: most)
    kept, made = {"of": "always"}, []
    make = lambda: made.append(1) or {"a": np.zeros(500)}  # noqa: E731
    for number in range(20):
        cached_arrays("room", kept, make)
        cached_arrays(f"room-{number % 2}", {"of": number}, lambda: {"a": np.zeros(500)})
    sizes = [path.stat().st_size for path in files(own_store)]
    assert len(made) == 1  # what is used stays
    assert 1 < len(sizes) <= 21
    assert sum(sizes) <= most
    assert (len(sizes) == 21) == (most == 1 << 30)  # control: nothing goes that has room


def test_two_processes_bound_one_cache(own_store):
    code = """
import numpy as np
from mammostudy.data import cache

cache.cache_bytes = lambda: 20_000
for number in range(150):
    found = cache.cached_arrays("room", {"of": number % 9}, lambda: {"a": np.full(500, number % 9)})
    assert (found["a"] == number % 9).all()
"""
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [each.wait() for each in both] == [0, 0]
    assert 0 < sum(path.stat().st_size for path in files(own_store)) <= 30_000


def test_a_killed_write_leaves_nothing(tmp_path):
    def half(partial):
        partial.write_bytes(b"half")
        raise KeyboardInterrupt

    path = tmp_path / "new" / "a.bin"
    for before in (None, b"old"):
        if before:
            path.write_bytes(before)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(path, half)
        assert [file.read_bytes() for file in files(tmp_path)] == ([before] if before else [])
    with pytest.raises(KeyboardInterrupt):
        half(path)
    assert path.read_bytes() == b"half"  # control: in place it would be half-written
