import pytest

from hsadc.lab.payload import body


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 60000])
def test_a_body_has_the_size_that_was_asked_for(size):
    assert len(body("rs33", size)) == size


def test_every_block_says_who_and_where():
    assert body("rs33", 40) == b"rs33 0000000000\nrs33 0000000016\nrs33 000"


def test_no_two_blocks_are_alike():
    text = body("rs34", 60000)
    blocks = [text[at : at + 16] for at in range(0, len(text), 16)]
    assert len(set(blocks)) == len(blocks)
