"""What the exit status says; scripts and service managers act on it."""

OK = 0  # also after SIGTERM or Ctrl+C when everything finished
FAILED = 1  # it ran, and died at run time
USAGE = 2  # wrong usage or an invalid configuration: the same again would fail again
CANNOT_LISTEN = 3
NOT_RUNNING = 4  # nothing answers where a running MultiProxy was looked for
INTERRUPTED = 130  # 128 + SIGINT; a second SIGTERM gives 143
