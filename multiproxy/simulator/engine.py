"""The slots: who runs where, who waits, what each slot still remembers of its last prompt."""

from collections import deque
from dataclasses import dataclass

from .clock import Clock
from .facts import Facts
from .generation import Generation, Stage
from .prompt import BYTES_PER_TOKEN, common_prefix
from .settings import Settings

# Besides its slots' caches a llama-server keeps evicted prompts in host memory; so many here.
REMEMBERED = 32
SIMILAR = 0.1  # llama-server prefers a slot whose cache covers more than a tenth of the prompt


@dataclass(slots=True)
class Slot:
    """One slot. ``memory`` is the text in its cache; it survives the generation."""

    id: int
    running: Generation | None = None
    latest: Generation | None = None
    memory: bytes = b""
    used_at: float = 0.0


@dataclass(slots=True)
class Totals:
    """Sums for /metrics."""

    prompt: int = 0
    cached: int = 0
    prompt_s: float = 0.0
    predicted: int = 0
    predicted_s: float = 0.0
    longest: int = 0


class Engine:
    """Gives slots to generations, first come first served."""

    def __init__(self, settings: Settings, clock: Clock, facts: Facts) -> None:
        self.settings = settings
        self.clock = clock
        self.facts = facts
        self.slots = [Slot(number) for number in range(settings.slots)]
        self.waiting: list[Generation] = []
        self.last_result = 0.0  # when any slot last produced anything
        self.used_at = clock.now()
        self.totals = Totals()
        self.halted = False
        self._evicted: deque[bytes] = deque(maxlen=REMEMBERED)
        self._tasks = 0

    @property
    def running(self) -> list[Generation]:
        """The generations that hold a slot."""
        return [slot.running for slot in self.slots if slot.running is not None]

    @property
    def asleep(self) -> bool:
        """Whether the model was unloaded because nobody asked."""
        after = self.settings.sleep_idle_s
        if after < 0 or self.waiting or self.running:
            return False
        return self.clock.now() - self.used_at >= after

    def touch(self) -> float:
        """Wake up if asleep; return when work can begin (seconds of the loop's time)."""
        now = self.clock.now()
        ready = now
        if self.asleep:
            ready = now + self.settings.wake_time
            for slot in self.slots:
                slot.memory = b""
            self._evicted.clear()
        self.used_at = now
        return ready

    def submit(self, generation: Generation) -> None:
        """Start a generation, or let it wait for a slot."""
        ready = self.touch()
        self._tasks += 1
        generation.task = self._tasks
        self.waiting.append(generation)
        if ready > self.used_at:
            self.clock.at(ready, self._admit_at)
        else:
            self._admit()
        self.facts.deferred += generation in self.waiting

    def release(self, generation: Generation, *, aborted: bool) -> None:
        """Free the slot of an ended generation (``Generation`` calls this once)."""
        if aborted:
            self.facts.aborted += 1
        else:
            self.facts.finished += 1
        slot = generation.slot
        if slot is None:
            # Cancelled in the queue by the simulator itself; nothing runs.
            if generation in self.waiting:
                self.waiting.remove(generation)
            return
        self._account(generation)
        slot.memory = (generation.order.prompt + generation.text).encode()
        if generation.linger_s:
            self.clock.at(self.clock.now() + generation.linger_s, lambda _: self._free(slot))
        else:
            self._free(slot)

    def _free(self, slot: Slot) -> None:
        slot.running = None
        slot.used_at = self.used_at = self.clock.now()
        if self.waiting:
            # In the next turn: the answer that just ended is written out first.
            self.clock.at(slot.used_at, self._admit_at)

    def _account(self, generation: Generation) -> None:
        totals = self.totals
        if generation.decoded:
            totals.prompt += generation.prompt_n
            totals.cached += generation.cached
            totals.prompt_s += generation.first_at - generation.started_at
            totals.predicted += generation.decoded
            totals.predicted_s += generation.due - generation.first_at
        length = generation.order.prompt_tokens + generation.decoded
        totals.longest = max(totals.longest, length)

    def _admit_at(self, due: float) -> None:
        self._admit()

    def _admit(self) -> None:
        idle = [slot for slot in self.slots if slot.running is None]
        for generation in list(self.waiting):
            if not idle or self.halted:
                return
            slot = self._choose(generation, idle)
            if slot is not None:
                idle.remove(slot)
                self.waiting.remove(generation)
                self._launch(generation, slot)

    def _choose(self, generation: Generation, idle: list[Slot]) -> Slot | None:
        pinned = generation.order.body.get("id_slot")
        if isinstance(pinned, int) and pinned >= 0:
            slot = self.slots[pinned % len(self.slots)]
            return slot if slot in idle else None
        prompt = generation.order.prompt.encode()
        best = max(idle, key=lambda slot: common_prefix(slot.memory, prompt))
        if common_prefix(best.memory, prompt) > SIMILAR * len(prompt):
            return best
        return min(idle, key=lambda slot: slot.used_at)

    def _launch(self, generation: Generation, slot: Slot) -> None:
        cached = 0
        if generation.order.body.get("cache_prompt", True):
            prompt = generation.order.prompt.encode()
            shared = max(common_prefix(old, prompt) for old in (slot.memory, *self._evicted))
            # The last token is always read again: its result is the first answer token.
            cached = min(shared // BYTES_PER_TOKEN, generation.order.prompt_tokens - 1)
        if slot.memory:
            self._evicted.append(slot.memory)
        slot.running = slot.latest = generation
        self.facts.generations += 1
        generation.start(slot, cached, self.clock.now())

    def halt(self) -> None:
        """Stop every generation for good, as the inference loop does after SIGTERM."""
        self.halted = True
        for generation in self.running:
            if generation.stage is not Stage.ENDED:
                generation.freeze()
