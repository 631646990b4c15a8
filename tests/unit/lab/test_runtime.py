import pytest

from hsadc.errors import Unsupported
from hsadc.lab import demo
from hsadc.lab.runtime import Runtime


@pytest.mark.parametrize("command", [demo.run_demo, demo.up, demo.shell, demo.down])
def test_anybody_but_root_is_told_so_in_one_line(command, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 65534)
    monkeypatch.setattr(demo, "check_tcpdump", lambda: None)
    with pytest.raises(Unsupported, match="only root") as e:
        command(write=pytest.fail)
    assert "\n" not in str(e.value)


def test_a_runtime_folder_is_made_empty_and_cleared(tmp_path, monkeypatch):
    monkeypatch.setattr(Runtime, "folder", tmp_path)
    runtime = Runtime("lab")
    runtime.make()
    runtime.up.touch()
    runtime.make()
    assert list(runtime.files.iterdir()) == [runtime.state]
    runtime.clear()
    runtime.clear()
    assert list(tmp_path.iterdir()) == []
