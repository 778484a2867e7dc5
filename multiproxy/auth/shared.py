"""How replicas add up what a key used: a script that Redis runs, its words and its answer.

Every replica tells its own counts whole, never by how much they grew. So a word that is lost or
said twice changes nothing, and a Redis that comes back empty knows everything again with the
next words. The script looks and counts in one step: no two replicas get the same last place.
"""

import hashlib
from typing import NamedTuple

from multiproxy.auth.allowance import MINUTE_S, Spent
from multiproxy.auth.principal import Principal

Command = tuple[bytes | int | str, ...]

_NONE = -1  # a limit that is not there

# KEYS: requests of this minute and of the one before, tokens of both, tokens of the day; hashes
# of each replica's count. ARGV: the replica, whether to count a request, the part of the minute
# before that counts, limits of requests, tokens and the day, the replica's own five counts.
# A replica that counts several requests at once is ahead of its own word: the larger one holds.
SCRIPT = b"""
local replica, part, sums = ARGV[1], tonumber(ARGV[3]), {}
local requests, tokens, day = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local limits = {requests, requests, tokens, tokens, day}
local keep = {180, 180, 180, 180, 172800}
for i, key in ipairs(KEYS) do
  sums[i] = 0
  if limits[i] >= 0 then
    local own = tonumber(ARGV[6 + i])
    if own > tonumber(redis.call('HGET', key, replica) or 0) then
      redis.call('HSET', key, replica, own)
      redis.call('EXPIRE', key, keep[i])
    end
    for _, count in ipairs(redis.call('HVALS', key)) do sums[i] = sums[i] + count end
  end
end
local function fits(limit, now, before)
  return limit < 0 or now + before * part <= limit - 1
end
local is_let_in = ARGV[2] == '1' and fits(requests, sums[1], sums[2])
  and fits(tokens, sums[3], sums[4]) and fits(day, sums[5], 0)
if is_let_in and requests >= 0 then
  redis.call('HINCRBY', KEYS[1], replica, 1)
  redis.call('EXPIRE', KEYS[1], keep[1])
end
return {is_let_in and 1 or 0, unpack(sums)}
"""
_DIGEST = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()
LOAD: Command = ("SCRIPT", "LOAD", SCRIPT)


class Moment(NamedTuple):
    """A time as the counts see it: whole minutes and days, and how far these are, in seconds."""

    minute: int
    into_minute_s: float
    day: int
    day_left_s: float


def is_shared(who: Principal) -> bool:
    """Whether a key has a limit that holds over all replicas."""
    limits = (who.requests_per_minute, who.tokens_per_minute, who.tokens_per_day)
    return any(limit is not None for limit in limits)


def command(who: Principal, replica: str, own: Spent, at: Moment, *, counts: bool) -> Command:
    """The Redis command that runs the script, once it was loaded.

    ``own`` is what the key used at this replica; ``counts`` asks for one more request, else
    it is only told.
    """
    start = f"multiproxy:{{{who.name}}}"  # braces: all on one node of a cluster
    limits = (who.requests_per_minute, who.tokens_per_minute, who.tokens_per_day)
    return (
        "EVALSHA",
        _DIGEST,
        5,
        f"{start}:requests:{at.minute}",
        f"{start}:requests:{at.minute - 1}",
        f"{start}:tokens:{at.minute}",
        f"{start}:tokens:{at.minute - 1}",
        f"{start}:day:{at.day}",
        replica,
        int(counts),
        repr(1 - at.into_minute_s / MINUTE_S),
        *(_NONE if limit is None else limit for limit in limits),
        *own[1:],
    )


def understand(answer: list[int]) -> tuple[bool, Spent]:
    """Whether the request was let in and counted, and what all replicas had used before it."""
    is_let_in, *sums = answer
    return bool(is_let_in), Spent(0, *sums)
