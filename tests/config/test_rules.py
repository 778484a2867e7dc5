"""Tags, fallbacks and splits: what they may name."""

import pytest

from multiproxy.config import Arm, Mirror

A = """\
backends:
  - {url: http://a, id: a, tags: [big, eu], max_in_flight: 3}
  - {url: http://b, id: b}
"""


def test_rules_can_be_written(read):
    config = read(f"""{A}
models:
  m: {{tags: [big, eu], fallback: [n]}}
  n: [b]
  s: {{split: [{{model: m, weight: 90}}, {{model: n}}]}}
""")
    assert config.backends[0].tags == ("big", "eu")
    assert [backend.max_in_flight for backend in config.backends] == [3, None]
    m, _, s = config.models
    assert (m.tags, m.fallback) == (("big", "eu"), ("n",))
    assert s.split == (Arm("m", 90), Arm("n", 1))


def test_a_mirror_is_a_model_and_a_share_of_the_requests(read):
    config = read(f"""{A}
models:
  m: {{backends: [a], mirror: n}}
  n: {{backends: [b], mirror: {{model: m, share: 0.1}}}}
""")
    m, n = config.models
    assert (m.mirror, n.mirror) == (Mirror("n", 1.0), Mirror("m", 0.1))


@pytest.mark.parametrize(
    ("models", "message", "hint"),
    [
        ("m: {fallback: [x]}", "model 'x' is not defined", None),
        ("m: {fallback: [mm]}\n  mn: [a]", "model 'mm' is not defined", "did you mean"),
        ("m: {fallback: [m]}", "a model cannot stand in for itself", ""),
        ("m: {split: [{model: m}]}", "a model cannot stand in for itself", ""),
        ("m: {split: [{model: x}]}", "model 'x' is not defined", None),
        ("m: {split: [{model: n}]}\n  n: {split: [{model: o}]}\n  o: [a]",
         "a split cannot have another split as a part", ""),
        ("m: {split: [{model: n}], backends: [a]}\n  n: [b]",
         "a model has backends or is split among other models, not both", ""),
        ("m: {split: [{model: n, weight: 0}]}\n  n: [b]", "no part of the split has a weight", ""),
        ("m: {mirror: x, backends: [a]}", "model 'x' is not defined", None),
        ("m: {mirror: {model: m, share: 0.5}}", "a model cannot mirror itself", ""),
        ("m: {mirror: s}\n  s: {split: [{model: n}]}\n  n: [b]",
         "a split cannot get the copies: name one of its parts", ""),
        ("m: {tags: [small]}", "no backend has the tag 'small'", ""),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_work_is_a_mistake(only, models, message, hint):
    found = only(f"{A}models:\n  {models}\n")
    assert found.message == message
    assert hint is None or hint in found.hint
