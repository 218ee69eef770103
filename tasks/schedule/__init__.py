"""A check at regular times: systemd's timer, or a line for cron.

calendar   a length of time -> OnCalendar, cron    what people mean by "every 15 minutes"
units      Schedule -> the two unit files, the crontab's line      pure
systemd    unit files -> this machine              installed, shown, removed; twice is as once
"""
