"""What is in `deploy/`: files for other tools, checked against the programs that they start."""
