"""Drills on virtual routers: what a drill's file says is done to a lab, while subscribers look on.

site       the cluster as its controllers tell it: who serves whom, who decides, what happened
breaking   a drill's fault, in the words of the lab
stage      the timeline, done at its moments
guardian   a process that mends what a drill broke, when the drill ends, however it does
run        a whole run, from the registrations to what was measured
command    `hacc lab drill`, which `hacc drill run` starts
"""
