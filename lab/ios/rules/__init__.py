"""What lines do beyond being remembered: the semantics that bite, one module a subject."""
