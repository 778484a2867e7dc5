"""What a key has used -> may it ask for more now, and if not, when.

Counts are of whole minutes. The rate of "the last 60 seconds" is the present minute's count and
as much of the one before as still lies within them: smooth, and two numbers per key. Tokens are
known when an answer ends; whoever is below a limit then may begin, so a limit can be passed by
what is running. The counts of all workers are added up without a lock: of N workers that admit
in the same instant each may be one request ahead, so a limit can be passed by N - 1.
"""

import math
import random
from typing import NamedTuple

from multiproxy.auth.principal import Principal
from multiproxy.errors import RateLimited

MINUTE_S = 60.0
PAUSE_S = (1, 5)  # for one of its own requests to end; with jitter, or all come back at once


class Spent(NamedTuple):
    """A key's counts over all workers. ``..._before`` are those of the minute before."""

    running: int = 0
    requests: int = 0
    requests_before: int = 0
    tokens: int = 0
    tokens_before: int = 0
    tokens_today: int = 0


def refuse_excess(
    principal: Principal,
    spent: Spent,
    into_minute_s: float,
    day_left_s: float,
    chance: random.Random,
) -> None:
    """Refuse one more request that is over a limit; counts without a limit may be left 0.

    ``into_minute_s`` is how far the present minute is, ``day_left_s`` the time until midnight
    UTC.

    Raises:
        RateLimited: with the seconds after which it makes sense to come again.
    """
    limit = principal.tokens_per_day
    if limit is not None and spent.tokens_today >= limit:
        raise RateLimited(
            f"This key has used its {limit:,} tokens of today; the next day begins at 00:00 UTC.",
            code="insufficient_quota",
            retry_after_s=math.ceil(day_left_s),
            headers=((b"x-should-retry", b"false"),),  # an SDK's two tries would not help
        )
    limit = principal.max_concurrent
    if limit is not None and spent.running >= limit:
        raise RateLimited(
            f"This key already runs {limit} requests, which is as many as it may.",
            retry_after_s=chance.randint(*PAUSE_S),
        )
    for limit, now, before, unit in (
        (principal.requests_per_minute, spent.requests, spent.requests_before, "requests"),
        (principal.tokens_per_minute, spent.tokens, spent.tokens_before, "tokens"),
    ):
        if limit is not None:
            wait_s = seconds_until_room(limit, now, before, into_minute_s)
            if wait_s > 0:
                raise RateLimited(
                    f"This key may use {limit:,} {unit} per minute.",
                    retry_after_s=max(1, math.ceil(wait_s)),
                )


def seconds_until_room(limit: int, now: int, before: int, into_minute_s: float) -> float:
    """How long until one more fits into the last 60 seconds; 0 when it does.

    ``limit`` is at least 1. The minute before counts by the part of it that is still within 60
    seconds.
    """
    passed = into_minute_s / MINUTE_S
    room = limit - 1 - now
    if room >= 0:
        # before * (1 - passed) must fall to the room that is left.
        share = 1 - room / before if before else 0.0
        return max(0.0, (share - passed) * MINUTE_S)
    # Only when the present minute is the one before can its count fall.
    share = 1 - (limit - 1) / now
    return (1 - passed) * MINUTE_S + max(0.0, share) * MINUTE_S
