"""What goes wrong in a demonstration."""


class StoryError(Exception):
    """A step did not do what was told."""
