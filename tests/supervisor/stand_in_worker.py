"""A worker without a proxy in it: it takes its row, answers who it is, and ends when told.

The first argument says how it behaves: ``serve``; ``die`` at once; ``die-later``, which is die in
every generation but the first; ``linger``, which does not end on SIGTERM.
"""

import json
import os
import selectors
import signal
import socket
import sys

from multiproxy.config import decode
from multiproxy.scoreboard import Scoreboard, WorkerState


def main(mode, flags):
    index, listener, scoreboard, snapshot, lifeline = (int(value) for value in flags[1::2])
    with open(snapshot, "rb") as file:
        config, extra = decode(file.read())
    board = Scoreboard.attach(scoreboard)
    row = board.workers[index]
    row.begin(os.getpid(), extra["generation"])
    if mode == "die" or (mode == "die-later" and extra["generation"] > 1):
        return 3
    told_to_end, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)
    signal.signal(signal.SIGTERM, lambda *_: None)
    row.state = WorkerState.SERVING
    name = json.dumps({"pid": os.getpid(), "index": index, **extra}).encode()
    sock = socket.socket(fileno=listener)
    with selectors.DefaultSelector() as selector:
        for source in (listener, lifeline, told_to_end):
            selector.register(source, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if lifeline in ready:
                return 0
            if told_to_end in ready:
                os.read(told_to_end, 100)
                row.state = WorkerState.DRAINING
                selector.unregister(listener)
                sock.close()
                if mode != "linger":
                    return 0
            elif listener in ready:
                try:
                    client, _ = sock.accept()
                except BlockingIOError:  # another worker was faster
                    continue
                client.sendall(name)
                client.close()


sys.exit(main(sys.argv[1], sys.argv[2:]))
