"""Drills: `inventory/drills/*.yaml`, played by virtual routers, judged and told.

    schema    the shape of a file
    files     reads them: every error at once, with its place
    playing   hands a drill to whoever plays it, and takes what was measured
    keeping   runs, below the work directory, so that the next one can be compared
    picture   the timeline as a drawing
    page      a run as one page that stands by itself
    junit     a run as a test suite
    table     a run, and the drills there are, on a terminal
    command   `hacc drill`

What a drill is, and how a run is judged, stands in `hacc_agent.drills`, which the stages share.
"""
