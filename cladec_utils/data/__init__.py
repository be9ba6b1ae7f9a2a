"""Images: where they come from, how they are split, and data with planted truth."""
