"""Runs llama.cpp's own HTTP server, as the wheel `xllamacpp` has it, as one process.

``python llama_serve.py MODEL.gguf '{"port": 8081, ...}'``: the object holds the server's
parameters by llama.cpp's names (``common_params``). Prints ``READY <url>`` once the model is
loaded and serves until SIGTERM; llama.cpp logs to stderr.
"""

import json
import os
import signal
import sys

import xllamacpp

DEFAULTS = {
    "hostnames": ["127.0.0.1"],
    "n_gpu_layers": 0,
    "n_ctx": 4096,  # tokens over all slots, each has its share
    "n_parallel": 2,  # slots
    "kv_unified": False,
    "cpuparams.n_threads": 1,
    "cpuparams_batch.n_threads": 1,
    "endpoint_metrics": True,
    "endpoint_slots": True,
    "use_jinja": True,
    "ui": False,
    "verbosity": 2,
    "cache_ram_mib": 64,
}


def main() -> None:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = sys.argv[1]
    for name, value in (DEFAULTS | json.loads(sys.argv[2])).items():
        owner, _, attribute = name.rpartition(".")
        target = getattr(parameters, owner) if owner else parameters
        if attribute == "model_alias":
            value = {value}
        elif attribute == "pooling_type":
            value = getattr(xllamacpp.llama_pooling_type, f"LLAMA_POOLING_TYPE_{value}")
        setattr(target, attribute, value)
    # Blocked before the server starts its threads, so that only sigwait below gets them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    server = xllamacpp.Server(parameters)
    print("READY", server.listening_address, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os._exit(0)  # at once: the server's own stop waits for its requests


if __name__ == "__main__":
    main()
