"""Runs first in every process of a MultiProxy under test, and switches one defence off in it."""

import os

if name := os.environ.get("MULTIPROXY_SABOTAGE"):
    from faults.defences import DEFENCES

    DEFENCES[name].switch_off()
