"""Who asks, and how much they may: pure functions of header fields, counts and moments."""

from multiproxy.auth.allowance import Spent, refuse_excess
from multiproxy.auth.keyring import Keyring
from multiproxy.auth.principal import ANYONE, Principal, Priority

__all__ = ["ANYONE", "Keyring", "Principal", "Priority", "Spent", "refuse_excess"]
