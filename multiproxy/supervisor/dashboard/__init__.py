"""Port 8080: the pages people leave open all day. Slow here is never slow for a token."""

from multiproxy.supervisor.dashboard.server import Dashboard

__all__ = ["Dashboard"]
