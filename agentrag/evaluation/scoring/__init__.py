"""From outcomes to numbers per question."""
