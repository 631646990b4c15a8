import pytest

from hsadc.config.check import check_file
from hsadc.errors import ApplyError
from hsadc.lab import topology
from hsadc.lab.equipment import sample
from hsadc.lab.scenario import SCENARIOS
from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.load import load
from hsadc.syntax.render import Renderer

grammar = load_grammar()


def test_the_article_is_what_the_device_renders():
    text = sample("article.cfg").read_text()
    loaded = load(grammar, text)
    assert loaded.mistakes == ()
    assert "\n".join(Renderer(grammar).config(loaded.config)) + "\n" == text


def test_the_articles_own_lines_mean_the_same():
    verbatim, ours = (load(grammar, sample(name).read_text()) for name in ("article-verbatim.cfg", "article.cfg"))
    assert verbatim.mistakes == ()
    assert verbatim.config == ours.config


@pytest.mark.parametrize("name", ["article.cfg", "article-verbatim.cfg"])
def test_the_samples_are_sound(name):
    assert check_file(grammar, sample(name)) == []


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda s: s.name)
def test_the_network_has_the_addresses_of_the_sample(scenario):
    config = load(grammar, sample(scenario.sample).read_text()).config
    virtual = next(v for v in config.virtual_server.values() if v.mirror_traffic)
    assert (virtual.ip.address, virtual.ip.port) == (topology.ADC, scenario.port)
    assert (virtual.mirror_traffic.port or scenario.port) == scenario.copied_port
    assert (virtual.ssl_profile is not None, virtual.server_ssl_profile is not None) == (scenario.client_tls, scenario.server_tls)
    assert {name: (s.ip, s.port) for name, s in config.real_server.items()} == {
        name: (address, scenario.real_port) for name, address in topology.REAL_SERVERS.items()
    }
    assert [t.destination for t in config.gre_tunnel.values()] == [topology.ANALYZER]
    assert [a.ip for e in config.ethernet.values() for a in e.addresses] == [topology.ADC]
    assert [r.next_hop for r in config.routes.values()] == [next(leg.gateway for leg in topology.SWITCHED)]


def test_a_sample_that_is_not_there():
    with pytest.raises(ApplyError, match=r"nothing\.cfg"):
        sample("nothing.cfg")
