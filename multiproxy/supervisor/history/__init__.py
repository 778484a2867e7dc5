"""What outlives a restart: finished requests and their sums, in one SQLite file.

Only the supervisor writes it, in a thread, once a second. The pages live from memory; a disk
that is full or gone costs them nothing but the past.
"""
