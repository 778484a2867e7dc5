"""The data plane: one process, one loop, clients on one side and backends on the other."""
