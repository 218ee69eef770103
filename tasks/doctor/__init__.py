"""What is missing, on this machine and on the routers, before it is missed: each with its remedy.

symptom    Symptom                     one thing that was looked at, and what it means
machine    this machine -> Symptoms    Python, libraries, programs, clock, disk, files, secrets
routers    answers -> Symptoms         privilege, way back, room, clock, daemons; pure
"""
