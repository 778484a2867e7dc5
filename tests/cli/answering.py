"""A dashboard for commands to talk to: the real one, over a scene, on a thread's loop."""

import asyncio
import threading
from contextlib import contextmanager

from dashboard_scene import busy

from multiproxy.supervisor.dashboard import Dashboard


class Told:
    """``Actions`` that remember; ``problem`` is what a reload finds wrong."""

    def __init__(self, scene, problem=""):
        self.scene = scene
        self.problem = problem
        self.calls = []

    def _hold(self, name, backend):
        self.calls.append((name, backend))
        return any(view.id == backend for view in self.scene.backend_list)

    def cancel(self, request_id):
        self.calls.append(("cancel", request_id))
        return True

    def drain(self, backend):
        return self._hold("drain", backend)

    def resume(self, backend):
        return self._hold("resume", backend)

    async def reload(self):
        self.calls.append(("reload", ""))
        return self.problem


@contextmanager
def dashboard(scene=None, *, problem="", login=None):
    """(url, what it was told) of a dashboard that answers until the block ends."""
    scene = scene or busy()
    told = Told(scene, problem)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start():
        served = Dashboard(
            scene, boot_id="b", version="0.1.0", now=scene.clock, actions=told, login=login
        )
        await served.start("127.0.0.1", 0)
        return served

    served = asyncio.run_coroutine_threadsafe(start(), loop).result(20)
    try:
        yield f"http://127.0.0.1:{served.addresses[0][1]}", told
    finally:
        asyncio.run_coroutine_threadsafe(served.close(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()
