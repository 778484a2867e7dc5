from multiproxy.routing.retry_budget import RetryBudget


def spend(budget, now=0.0):
    taken = 0
    while budget.take(now):
        taken += 1
    return taken


def test_at_first_three_retries_are_free():
    assert spend(RetryBudget(0.2)) == 3


def test_the_death_of_one_backend_costs_no_request():
    budget = RetryBudget(0.2)
    budget.resize(128)
    assert spend(budget) == 128
    budget.resize(0)
    for _ in range(1000):
        budget.request()
    assert spend(budget) == 32


def test_in_the_long_run_a_fifth_is_sent_again_and_no_more():
    budget = RetryBudget(0.2)
    budget.resize(4)
    retries = 0
    for _ in range(2000):
        budget.request()
        retries += budget.take(0.0)
    assert 400 <= retries <= 404


def test_a_good_hour_does_not_save_up_for_a_storm():
    budget = RetryBudget(0.2)
    budget.resize(4)
    for _ in range(100_000):
        budget.request()
    assert spend(budget) == 4


def test_a_quiet_server_may_retry_again_after_a_while():
    budget = RetryBudget(0.2)
    assert spend(budget, 0.0) == 3
    assert spend(budget, 3.0) == 0
    assert spend(budget, 4.0) == 1
    assert spend(budget, 1000.0) == 3


def test_a_budget_of_nothing_lets_nothing_through():
    assert spend(RetryBudget(0.0)) == 0
