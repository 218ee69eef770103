"""Both planes in plain Python: frames in, frames out. What the programs do, said once more.

    packets    headers, checksums, what became of a frame
    relay      a controller's
    tunnels    a member's

No kernel, no maps, no speed: they are for tests. A program is right when it does to every frame
what is done here (`tests/hacc_agent/dataplane/test_userspace.py`).
"""
