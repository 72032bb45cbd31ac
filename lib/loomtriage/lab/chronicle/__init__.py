"""The chronicle worker: carries events to the readable chronicle, inside the database."""
