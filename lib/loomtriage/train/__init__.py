"""Train: blind rounds for people, with a commitment first and a score and a debrief last."""
