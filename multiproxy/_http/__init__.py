"""HTTP/1.1 as if models did not exist: heads, framing, connections, a strict pool."""
