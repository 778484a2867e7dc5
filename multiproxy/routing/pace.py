"""How fast a backend has been of late: what waiting for it costs, and what its cache saves."""

_KEPT = 0.95  # of what was known, with each new answer: some twenty answers are remembered
_STEP = 0.25  # how far one answer moves the reach of a cache
_RATE = 1000.0  # prompt tokens per second, until the first answer
_HOLD_S = 10.0  # of a slot per request, until the first answer
_REACH_S = 3600.0  # llama-server keeps prompts in main memory besides its slots' own
_LEAST_REACH_S = 1.0


class Pace:
    """One backend's recent speed. Times are seconds, rates tokens per second.

    Until its first answer a backend is thought to be ``like`` its peers.
    """

    __slots__ = (
        "_decode_s", "_decoded", "_hold", "_like", "_prefill", "_prefill_s", "_prefilled",
        "_requests", "crowding_s", "decode_rate", "reach_s",
    )  # fmt: skip

    def __init__(self, like: "Pace | None" = None) -> None:
        self._like = like
        self.decode_rate = 0.0  # 0: not known yet
        self.crowding_s = 0.0  # what each running request delays the prompt of the next
        self.reach_s = _REACH_S  # how long a prompt stays in its cache
        self._prefilled = self._prefill_s = 0.0
        self._decoded = self._decode_s = 0.0
        self._hold = self._prefill = self._requests = 0.0

    @property
    def prefill_rate(self) -> float:
        """Prompt tokens per second."""
        if self._prefill_s:
            return self._prefilled / self._prefill_s
        return self._like.prefill_rate if self._like is not None else _RATE

    @property
    def hold_s(self) -> float:
        """How long a request has its slot."""
        if self._requests:
            return self._hold / self._requests
        return self._like.hold_s if self._like is not None else _HOLD_S

    def prefilled(self, tokens: int, seconds: float) -> None:
        """An answer's prompt took ``seconds``, of which ``tokens`` were not in the cache."""
        if seconds <= 0 or tokens <= 0:
            return
        self._prefilled = self._prefilled * _KEPT + tokens
        self._prefill_s = self._prefill_s * _KEPT + seconds
        if self._like is not None:
            self._like.prefilled(tokens, seconds)

    def decoded(self, tokens: int, seconds: float) -> None:
        """An answer's ``tokens`` took ``seconds`` to generate."""
        if seconds <= 0 or tokens <= 1:
            return
        self._decoded = self._decoded * _KEPT + tokens
        self._decode_s = self._decode_s * _KEPT + seconds
        self.decode_rate = self._decoded / self._decode_s

    def held(self, seconds: float, prefill_s: float) -> None:
        """A request had a slot for ``seconds``, ``prefill_s`` of them for its prompt."""
        self._requests = self._requests * _KEPT + 1
        self._hold = self._hold * _KEPT + seconds
        self._prefill = self._prefill * _KEPT + min(prefill_s, seconds)
        # While one prompt is read the next one waits: each running request is at its prompt
        # for this share of its time, and then about half of that prompt is still to come.
        prompt_s = self._prefill / self._requests
        self.crowding_s = prompt_s * prompt_s / max(self.hold_s, 1e-6) / 2
        if self._like is not None:
            self._like.held(seconds, prefill_s)

    def found(self, age_s: float) -> None:
        """A prompt that was last here ``age_s`` ago was still in the cache."""
        if age_s > self.reach_s:
            self.reach_s += _STEP * (age_s - self.reach_s)

    def missed(self, age_s: float) -> None:
        """A prompt that was last here ``age_s`` ago was not in the cache any more."""
        if age_s < self.reach_s:
            self.reach_s = max(_LEAST_REACH_S, self.reach_s - _STEP * (self.reach_s - age_s))

    def keeps(self, age_s: float) -> float:
        """How likely a prompt that was last here ``age_s`` ago is still in the cache."""
        return 1.0 / (1.0 + (max(age_s, 0.0) / self.reach_s) ** 4)
