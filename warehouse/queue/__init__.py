"""What to read next: cursors, due lists, requested re-reads, runs."""
