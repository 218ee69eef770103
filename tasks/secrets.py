"""References to secrets, and the one place where they are opened."""
