"""The HACC agent: registration relay, binding tables, failover. Start reading at config.py."""

__version__ = "0.1.0"
