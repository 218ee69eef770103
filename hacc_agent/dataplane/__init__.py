"""Packets of registered mobile nodes, moved by the kernel on our word."""
