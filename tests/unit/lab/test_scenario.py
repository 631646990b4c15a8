from hsadc.cli.main import LAB_SCENARIOS
from hsadc.lab.scenario import ARTICLE, SCENARIOS, SSL_OFFLOAD


def test_the_command_line_knows_them_all():
    assert tuple(SCENARIOS) == LAB_SCENARIOS


def test_where_clients_go_and_what_the_copies_show():
    assert (ARTICLE.url, ARTICLE.route.server[1]) == ("http://192.168.131.2:8087/", 8087)
    assert (SSL_OFFLOAD.url, SSL_OFFLOAD.route.server[1]) == ("https://192.168.131.2:443/", 80)
