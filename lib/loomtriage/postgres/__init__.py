"""PostgreSQL as everybody here reaches it: what a DSN is, and what a refusal means."""
