"""One module for each kind of thing that playbooks ask for."""
