"""What it means, on each platform, to fetch, apply, confirm and revert.

    session   the way in: host key, login, retries while connecting        one for all platforms
    ios       a terminal: pasted blocks, replies attributed to their line, revert timer
    linux     files: one script on the router stages, swaps, and restores if nobody confirms
    fleet     many routers: Nornir's inventory and connections under our own runner

A router that is being changed passes through these states, and every step may be repeated:

    old --apply--> armed (in force; goes back to old by itself unless confirmed)
        --confirm--> new          armed --revert--> old          new --restore--> old
"""
