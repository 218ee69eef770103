"""The HSRP speaker of a router: `hacc-agent hsrp run`, one process for all of its groups.

    config     /etc/hacc/hsrp.toml, written by the compiler
    kernel     what the kernel is told: virtual interfaces, addresses, routes
    lan        hellos and gratuitous ARP, out and in
    guard      the process that takes the addresses away when the speaker dies
    withdrawal what is done for a speaker that is dead
    objects    what is tracked beside the interfaces
    service    all of it together, with the engine of `hacc_agent/engine/hsrp`
    show       what `hacc-agent hsrp` prints

Not to be confused with `hacc_agent/standby.py`, which follows another controller's journal.
"""
