"""The control plane: the parent process that binds, watches, probes and shows."""
