"""What clients and backends say; bytes in, bytes out, no sockets and no clocks."""
