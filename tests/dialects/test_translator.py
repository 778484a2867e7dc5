"""What every translator counts."""

from chat_notation import DONE, ERROR, ROLE, call, finish, progress, reasoning, text, usage, verbose

from multiproxy.dialects.chat_stream import ChatReader
from multiproxy.dialects.events import Done, Event, Progress, StopInfo, Text, Usage
from multiproxy.dialects.translator import EventTranslator
from multiproxy.errors import BackendBusy, BackendError, ProxyError


class Shouting(EventTranslator):
    """Tells every text in capitals and refuses one word."""

    def fail(self, error: ProxyError) -> bytes:
        return error.message.encode()

    def keep_alive(self) -> bytes:
        return b""

    def _on(self, event: Event) -> None:
        if isinstance(event, Text):
            if event.text == "stop":
                self.failure = BackendBusy("enough")
            else:
                self._out.append(event.text.upper().encode())
        elif isinstance(event, Done):
            self.finished = True


def test_content_is_counted_and_the_rest_is_kept() -> None:
    translator = Shouting(ChatReader())
    assert translator.open() == b""
    assert translator.feed(ROLE + progress(9, 3, 6)) == b""
    assert translator.progress == Progress(9, 3, 6) and translator.events == 0
    out = translator.feed(reasoning("r") + text("a") + text("b") + call(0, "c", "f", "{}"))
    assert out == b"AB" and translator.events == 4
    translator.feed(finish("stop", __verbose=verbose("eos")))
    assert translator.finish_reason == "stop"
    assert translator.stop_info == StopInfo("eos", "", False)
    translator.feed(usage(10, 6, 4) + DONE)
    assert translator.usage == Usage(10, 6, 4) and translator.finished
    assert translator.feed(text("late")) + translator.eof() == b""


def test_a_failure_of_the_backend_is_kept_and_ends_the_translation() -> None:
    translator = Shouting(ChatReader())
    assert translator.feed(text("a") + ERROR + text("b")) == b"A"
    assert isinstance(translator.failure, BackendError) and not translator.finished
    assert translator.feed(text("c")) + translator.eof() == b""


def test_a_failure_of_the_translation_ends_it_too() -> None:
    translator = Shouting(ChatReader())
    assert translator.feed(text("a") + text("stop") + text("b")) == b"A"
    assert isinstance(translator.failure, BackendBusy)
    assert translator.feed(text("c") + finish() + DONE) == b"" and not translator.finished
