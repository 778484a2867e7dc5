"""The kill list: each defence, how it is switched off, and the test that must fail then.

Switching off is done from here, in the process of the test or, by the ``sitecustomize`` in
``sabotage/``, in the workers it starts; the product has no switches for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from multiproxy._http import client, guard, pool, request_body, server
from multiproxy.dialects import splice
from multiproxy.routing import ejection, queue, retry_budget
from multiproxy.worker import (
    attempt,
    capture,
    exchange,
    lease,
    placer,
    pressure,
    relay,
    retries,
    rounds,
    serving,
    stored,
    trust,
    watch,
)


@dataclass(frozen=True, slots=True)
class Defence:
    """``owner.name`` becomes ``stand_in``; ``test`` is a pytest id under ``tests/``."""

    owner: Any
    name: str
    stand_in: Any
    test: str

    def switch_off(self) -> None:
        """For the rest of this process."""
        getattr(self.owner, self.name)  # a defence that was renamed must not be missed
        setattr(self.owner, self.name, self.stand_in)


def nothing(*args: Any, **more: Any) -> None:
    """Does nothing."""


def always(value: Any) -> Callable[..., Any]:
    """A function that returns ``value`` whatever it is given."""
    return lambda *args, **more: value


def forgets_failure(self: relay.Relay) -> None:
    """A stream that ended anyhow ended well."""
    self._translator.eof()
    self._client.end_stream()
    self._settle(None)


def keeps_any(self: pool.Pool, connection: client.BackendConnection) -> None:
    """Every connection goes back, whatever is still to come on it."""
    connection.idle_since = 0.0
    connection.state = client.State.IDLE
    self._idle.append(connection)


SABOTAGED = "MULTIPROXY_SABOTAGE"  # the variable that names the defence, for other processes
HOSTILE = "worker/test_hostile_backend.py"
EXCHANGE = "worker/test_exchange.py"
RETRIES = "worker/test_retries.py"
SERVER = "_http/test_server.py"
CLIENT = "_http/test_client.py"
WATCH = "worker/test_watch.py"
PLACER = "worker/test_placer.py"
TRUST = "worker/test_trust.py"
NEVER = property(always(False))

DEFENCES: dict[str, Defence] = {
    # cancellation
    "a client that leaves stops its backend": Defence(
        attempt.Attempt, "abort", nothing,
        "worker/test_attempt.py::test_the_backend_is_stopped_in_the_very_callback"),
    "a client's end is seen at once": Defence(
        server.ClientConnection, "_lost", nothing,
        f"{SERVER}::test_an_exchange_is_told_at_once_that_its_client_left"),
    "who leaves in the turn it is served gives the slot back": Defence(
        placer, "_was_served", always(False),
        f"{PLACER}::test_who_is_cancelled_in_the_turn_it_is_served_leaks_no_slot"),
    "a lease is released once": Defence(
        lease.Lease, "release", lambda self: self._placer.release(self.backend),
        f"{PLACER}::test_a_lease_is_counted_until_it_is_released_and_only_once"),
    # wrong data to the wrong client
    "only a connection whose answer ended to the byte is used again": Defence(
        pool.Pool, "release", keeps_any,
        "_http/test_pool.py::test_a_connection_amid_its_answer_is_never_used_again"),
    "a word on an idle connection ends it": Defence(
        client.BackendConnection, "abort", nothing,
        f"{CLIENT}::test_bytes_before_a_request_end_the_connection"),
    "the next client does not inherit a pause": Defence(
        client.BackendConnection, "resume", nothing,
        "worker/test_attempt.py::test_the_next_client_does_not_inherit_a_pause"),
    "a stored response is its owner's": Defence(
        stored.Stored, "get", lambda self, owner, *more, get=stored.Stored.get: get(
            self, "ann", *more),
        "worker/test_stored.py::test_nobody_sees_what_another_owner_said"),
    # streams that lie or hang
    "a stream without its end is no success": Defence(
        relay.Relay, "_end_stream", forgets_failure,
        f"{HOSTILE}::test_a_lie_amid_a_stream_ends_it_with_one_error_and_without_its_last_chunk"),
    "a cut stream has no last chunk": Defence(
        server.ClientConnection, "cut_stream", server.ClientConnection.end_stream,
        f"{SERVER}::test_a_cut_stream_has_no_last_chunk_and_lingers"),
    "nothing is tried again behind the commit point": Defence(
        serving.Serving, "committed", NEVER,
        "faults/test_backend_dies.py::test_a_kill_behind_an_event_is_told_in_one_error_event"),
    "a silent backend is given up": Defence(
        watch.Watch, "backend", nothing,
        f"{WATCH}::test_a_backend_that_goes_silent_amid_its_answer_is_given_up"),
    "a quiet client gets signs of life": Defence(
        watch.Watch, "client", nothing,
        f"{WATCH}::test_a_quiet_client_gets_a_sign_of_life_every_comment_seconds"),
    "a finished answer is not waited for": Defence(
        relay.Relay, "finish", nothing,
        "worker/test_relay.py::test_a_finished_stream_that_does_not_end_is_ended"),
    "a known prefix that is echoed is cut": Defence(
        splice.Splice, "_cut", lambda self, delta, *args: delta,
        "dialects/test_splice.py::test_a_known_prefix_that_is_echoed_is_cut"),
    # retries, health, load
    "a backend is asked at most once": Defence(
        placer.Placer, "_ready", lambda self, candidates: candidates[:1],
        f"{EXCHANGE}::test_each_backend_is_tried_once_and_no_more_than_attempts"),
    "retries have a budget": Defence(
        retry_budget.RetryBudget, "take", always(True),
        f"{RETRIES}::test_a_spent_budget_fails_fast_but_only_for_what_was_worked_on"),
    "two deaths end a request": Defence(
        retries, "MAX_DEATHS", 99,
        f"{RETRIES}::test_of_four_backends_a_deadly_request_reaches_two"),
    "a death is seen although it is over": Defence(
        retries.Retries, "_look", nothing,
        f"{RETRIES}::test_deaths_that_are_over_before_a_probe_comes_by_are_seen"),
    "what killed is refused": Defence(
        retries, "quarantined", always(frozenset()),
        f"{RETRIES}::test_a_request_that_killed_two_backends_is_refused_by_every_worker"),
    "what names a slot is sent once": Defence(
        retries, "is_repeatable", always(True),
        f"{RETRIES}::test_a_request_for_one_slot_of_one_backend_is_not_repeated"),
    "a retry waits with jitter": Defence(
        retries, "PAUSE_S", (0.0, 0.0),
        f"{RETRIES}::test_a_pause_with_jitter_comes_before_what_was_worked_on"),
    "three failures eject": Defence(
        ejection.Ejection, "look", nothing,
        "routing/test_ejection.py::test_three_failures_in_a_row_eject"),
    "ejected backends get nothing": Defence(
        trust, "admitted", lambda ready, *more: ready,
        f"{TRUST}::test_a_backend_that_rests_gets_nothing_while_most_do_not"),
    "a backend that comes back gets a growing share": Defence(
        trust.Trusted, "share", always(1.0),
        f"{TRUST}::test_a_backend_that_comes_back_deserves_a_growing_share"),
    "a backend that just failed is passed over": Defence(
        trust.Trusted, "_is_suspect", always(False),
        f"{PLACER}::test_a_backend_that_just_failed_is_passed_over_while_there_is_another"),
    "the queue has a limit": Defence(
        queue.Queue, "__init__", lambda self, limit, init=queue.Queue.__init__: init(self, 10**9),
        f"{PLACER}::test_a_full_queue_is_overloaded"),
    "nobody overtakes who waits": Defence(
        queue.Queue, "waiting", always(0),
        f"{PLACER}::test_nobody_overtakes_who_waits"),
    # memory
    "a slow client pauses its backend": Defence(
        attempt.Attempt, "pause", nothing,
        "worker/test_attempt.py::test_a_backend_is_read_as_fast_as_its_client_takes_it"),
    "a client that takes nothing is cut": Defence(
        server.ClientConnection, "sweep", nothing,
        f"{SERVER}::test_a_client_that_takes_nothing_is_cut_after_the_write_stall"),
    "an answer has a largest size": Defence(
        relay.Relay, "_collect", lambda self, payload: self._parts.append(payload),
        f"{EXCHANGE}::test_an_answer_of_the_limit_passes_and_a_larger_one_does_not"),
    "a worker that is short of memory sheds load": Defence(
        pressure.Ladder, "look", nothing,
        "worker/test_pressure.py::test_an_idle_client_is_asked_to_leave_within_a_second"),
    "a worker that is short of memory takes no more bodies": Defence(
        request_body.BodyRoom, "enter", nothing,
        "_http/test_request_body.py::test_a_shut_room_lets_no_body_in_beside_one_that_is_there"),
    "clients that take nothing are cut when memory is short": Defence(
        pressure.Ladder, "_cut", nothing,
        "worker/test_pressure.py::"
        "test_those_with_most_untaken_bytes_are_cut_first_and_not_all_at_once"),
    "interim answers have an end": Defence(
        client, "MAX_INTERIM", 10**9,
        f"{CLIENT}::test_sixteen_interim_answers_pass_and_one_more_does_not"),
    "an answer's head has a largest size": Defence(
        client.BackendConnection, "_receive_head", nothing,
        f"{CLIENT}::test_a_head_of_64_kib_passes_and_one_that_never_ends_does_not"),
    # requests
    "a body has a largest size": Defence(
        request_body, "_too_large", lambda cap: nothing(),
        f"{SERVER}::test_the_largest_body_passes_and_one_byte_more_does_not"),
    "a foreign page may not post": Defence(
        guard.Guard, "check_browser", nothing,
        "_http/test_guard.py::test_a_foreign_page_may_not_post_even_from_loopback"),
    "a foreign host is refused": Defence(
        guard.Guard, "_check_host", nothing,
        "_http/test_guard.py::test_other_addresses_are_ours_only_when_bound_beyond_loopback"),
    "a request has one framing": Defence(
        guard.Guard, "_check_framing", nothing,
        "_http/test_parser.py::test_a_malformed_request_gets_its_status_and_the_connection_ends"),
    "pipelined requests are bounded": Defence(
        server.ClientConnection, "_hold", lambda self, data: self._held.append(data),
        f"{SERVER}::test_eight_requests_may_wait_and_a_ninth_ends_the_connection"),
    # privacy
    "what looks like a secret is not kept": Defence(
        capture, "_SECRETS", (),
        "worker/test_capture.py::test_what_looks_like_a_secret_or_a_file_is_left_out"),
    "only those are kept who were named": Defence(
        capture.Captures, "begin", lambda self, who, body, client, begin=capture.Captures.begin:
            begin(self, self._settings.keys[0], body, client),
        "worker/test_capture.py::test_only_those_keys_are_kept_that_were_named"),
    # the process
    "what came while a worker stood still is read first": Defence(
        rounds, "LATE_S", 10.0**9,
        "worker/test_rounds.py::"
        "test_who_is_looked_at_late_is_first_given_the_time_to_be_read"),
    "nothing follows an answer's end": Defence(
        server.ClientConnection, "serves", always(True),
        f"{EXCHANGE}::test_nothing_follows_a_streams_end_when_the_process_ends_just_then"),
    "its own failure is told as an error": Defence(
        exchange.Exchange, "_tell", nothing,
        f"{EXCHANGE}::test_the_end_of_the_process_is_told"),
}  # fmt: skip
