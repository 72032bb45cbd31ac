"""Watch: alerts come in, each is triaged once, read-only, and closed when it resolves."""
