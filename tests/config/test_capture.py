from multiproxy.config import Capture, Config

KEYS = "keys: [{name: ann, key: sk-ann-0123}]\n"


def test_by_default_nothing_is_captured():
    assert Config().capture is None


def test_it_may_be_one_word_or_a_section(read_more):
    assert read_more("capture: true").capture == Capture(20, 262144, (), None)
    assert read_more("capture: false").capture is None
    section = f"{KEYS}capture: {{requests: 5, keys: [ann], folder: /srv/kept}}"
    assert read_more(section).capture == Capture(5, 262144, ("ann",), "/srv/kept")


def test_who_is_captured_has_a_key(only_more):
    problem = only_more(f"{KEYS}capture: {{keys: [anna]}}")
    assert "'anna' is not the name of a key" in problem.message and "ann" in problem.hint
