"""What runs inside a virtual router: its PID 1, and the `systemctl` that talks to it.

Standard library only, and started with `python -S`: fifty routers share one machine, so that a
service manager may cost a few megabytes and some tens of milliseconds, no more, and a `systemctl`
a few milliseconds. So values are named tuples here: `dataclasses` imports a quarter of all that an
init would load.
"""
