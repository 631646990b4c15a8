from hsadc.lab.record import Connection, Exchange, ServerReport, load_connections, load_report, save_connections, save_report


def test_connections_come_back_as_they_were(tmp_path):
    connections = (
        Connection(
            40000, bytes(range(256)), b"", (Exchange("GET", "/bytes/0", "rs33"), Exchange("POST", "/bytes/64", error="reset"))
        ),
        Connection(0, b"", b"", ()),
    )
    save_connections(tmp_path / "client.json", connections)
    assert load_connections(tmp_path / "client.json") == connections


def test_a_report_comes_back_as_it_was(tmp_path):
    report = ServerReport("rs33", {"192.168.131.2": 134})
    save_report(tmp_path / "rs33.json", report)
    assert load_report(tmp_path / "rs33.json") == report
