"""Pages: text of the operators' files, and nothing else."""

from __future__ import annotations

import pytest

from hsadc.dataplane.page import PAGE_BYTES, Pages, read_pages


def test_text_is_read_and_all_else_is_left_out(tmp_path):
    (tmp_path / "sorry.html").write_text("<h1>稍后再来</h1>")
    (tmp_path / "largest").write_bytes(b"x" * PAGE_BYTES)
    (tmp_path / "larger").write_bytes(b"x" * (PAGE_BYTES + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").write_text("x")
    names = [
        "sorry.html",
        "largest",
        "larger",
        "binary",
        "folder",
        "folder/inside",
        "missing",
        "../x",
        "/etc/hostname",
        ".",
        "a\0b",
    ]
    pages = read_pages(tmp_path, names)
    assert pages.texts == {"sorry.html": "<h1>稍后再来</h1>", "largest": "x" * PAGE_BYTES}
    assert pages.problems == {"larger": "it has 61441 bytes, at most 61440 are possible"}
    assert read_pages(tmp_path / "none", ["sorry.html"]) == Pages({}, {})


@pytest.mark.parametrize("size_bytes", [65000, 65536, 2 << 20])
def test_a_page_that_is_too_large_tells_its_size(tmp_path, size_bytes):
    (tmp_path / "large").write_bytes(b"x" * size_bytes)
    assert read_pages(tmp_path, ["large"]) == Pages({}, {"large": f"it has {size_bytes} bytes, at most 61440 are possible"})
