"""`hacc import`: an intent proposed from what an existing pair of IOS routers runs.

    reading     a running configuration -> Half: what of it an intent has words for
    proposal    two Halves -> Proposal: an intent, what the inventory must say, secrets by reference
    command     reads the routers, proposes, and holds the proposal against them

What the proposal could not express is not guessed from the reading: the proposal is compiled,
rendered and compared with the routers, and every line that a plan would change is listed. So the
list is what `hacc plan` will show, and nothing that is not in it is lost.
"""
