"""The routing simulation: repeatable, and the real routing code wins in it."""

import pytest

from routing_policies import LeastBusy, Oracle, Ours, PrefixTree, PureRendezvous, RoundRobin
from simulate_routing import Outcome, simulate


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """Four backends, busy at 70 %."""
    policies = (RoundRobin, LeastBusy, PureRendezvous, PrefixTree, Ours, Oracle)
    found = [simulate(policy, 4, 0.7, 1500, seed=1) for policy in policies]
    return {each.policy: each for each in found}


def test_every_policy_serves_every_request(outcomes):
    assert len({(each.requests, each.prompt) for each in outcomes.values()}) == 1
    assert all(len(each.ttft) == each.requests >= 1500 for each in outcomes.values())
    assert all(0 < each.read <= each.prompt for each in outcomes.values())
    assert all(len(each.memory) == 10 for each in outcomes.values())


def test_little_more_is_read_again_than_with_an_oracle(outcomes):
    assert outcomes["multiproxy"].read <= 1.15 * outcomes["oracle"].read


def test_the_first_token_comes_sooner_than_with_any_other_policy(outcomes):
    ours = outcomes["multiproxy"].percentile(0.95)
    for name in ("round robin", "least busy", "rendezvous", "prefix tree"):
        assert ours < outcomes[name].percentile(0.95), name


def test_a_seed_gives_the_same_figures_again(outcomes):
    again = simulate(Ours, 4, 0.7, 1500, seed=1)
    assert (again.read, again.ttft, again.makespan) == (
        outcomes["multiproxy"].read,
        outcomes["multiproxy"].ttft,
        outcomes["multiproxy"].makespan,
    )


def test_the_cost_of_a_placement_is_that_of_the_routing_code_alone(outcomes):
    costs = {name: each.placement_us for name, each in outcomes.items()}
    assert costs.pop("multiproxy") > 0
    assert set(costs.values()) == {None}
