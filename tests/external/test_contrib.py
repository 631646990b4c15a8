"""The programs that we ship as examples, run as a user would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.external.conftest import SAMPLES

pytestmark = pytest.mark.external

PYTHON = Path(__file__).parents[2] / "contrib" / "python"
ARTICLE = (SAMPLES / "article.cfg").read_text()


@pytest.mark.parametrize("program", sorted(PYTHON.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_pushes_the_article_and_reads_it(kept_device, program, tmp_path):
    def run(file: Path):
        command = [sys.executable, program, file, "127.0.0.1", str(kept_device.port)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    done = run(SAMPLES / "article.cfg")
    assert (done.returncode, done.stdout) == (0, "l7-http 192.168.131.2 8087 down not served\n"), done.stderr
    assert kept_device.text() == ARTICLE
    assert ARTICLE in (kept_device.state / "startup.cfg").read_text()
    wrong = tmp_path / "wrong.cfg"
    wrong.write_text("tunnel gree x\nhostname never\n")
    done = run(wrong)
    assert done.returncode == 1
    assert "unrecognized keyword gree" in done.stderr
    assert kept_device.text() == ARTICLE
