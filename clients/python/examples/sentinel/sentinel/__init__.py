"""A small Sentinel: what it reports to Neural Guard, and what the playbooks ask of it."""
