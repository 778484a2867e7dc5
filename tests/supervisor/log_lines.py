"""Stands in for the supervisor's log."""


class LogLines:
    """``lines`` as they were said, and the ``marks`` that a chart would draw for them."""

    dropped = 0

    def __init__(self):
        self.lines = []
        self.marks = []
        self.events = []  # nobody adds to them

    def info(self, text, mark=""):
        self.lines.append(text)
        self.marks.append(mark)

    warning = error = plain = info
