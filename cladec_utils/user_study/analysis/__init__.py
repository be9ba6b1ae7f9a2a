"""From participants' responses to a verdict on C5."""
