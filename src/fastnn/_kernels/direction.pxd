# Which way a job goes, where one struct serves both.
cdef enum Direction:
    FORWARD
    BACKWARD
