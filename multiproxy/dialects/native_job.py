"""Messages and Responses for backends that are asked in the client's own dialect."""

from dataclasses import dataclass

from multiproxy.dialects.jobs import Context, Job, Translated
from multiproxy.dialects.media_address import check_media
from multiproxy.dialects.messages_system import relayed_system
from multiproxy.dialects.native_relay import MessagesRelay, ResponsesRelay
from multiproxy.dialects.policy import Policy
from multiproxy.dialects.request import Request
from multiproxy.dialects.translator import Translator

_COUNTING = {b"/v1/messages": b"/v1/messages/count_tokens"}


class Native(Job):
    """The client's own bytes for a backend's own route, but for what makes caches useless.

    ``counting_path`` is where the same body asks how many tokens its prompt has.
    """

    translates = False

    def __init__(self, request: Request, request_id: str, context: Context, path: bytes) -> None:
        super().__init__(request, request_id, context)
        self.path = path
        self.counting_path = _COUNTING.get(path, path + b"/input_tokens")
        self._relay = MessagesRelay if path in _COUNTING else ResponsesRelay
        system = request.data.get("system")
        kept = relayed_system(system)
        if kept != system:  # written anew, but for this only when it has to be
            request.data["system"] = kept
            request.raw = b""

    @property
    def folds(self) -> bool:
        return False

    def encode(self, policy: Policy, model: str | None) -> bytes:
        takes_remote = policy.image_urls == "forward"
        for name in ("messages", "input"):
            check_media(self.request.data.get(name), name, takes_remote=takes_remote)
        return self.request.body_for(model)

    def translator(self, previous: Translator | None) -> Translator:
        return self._relay(self.request_id, max_event_size=self._context.max_event_size)


@dataclass(frozen=True, slots=True)
class ByBackend:
    """A request of which some backends are asked in its own dialect, and others are not."""

    native: Native
    translated: Translated

    def at(self, policy: Policy, previous: Translator | None) -> Job:
        """The job for one backend; ``previous`` is who spoke to the client so far.

        A stream that our own words have opened cannot go on with a backend's.
        """
        is_ours = previous is not None and previous.opened
        return self.native if policy.native and not is_ours else self.translated
